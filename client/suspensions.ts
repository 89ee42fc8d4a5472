/** Nodes that failed of late: they are passed over for a while. */

/** The first one, doubled with each failure in a row. */
const SUSPENSION_MS = 1_000;

/** Failed nodes remembered at most; a cluster has far fewer. */
const SUSPENSIONS_MAX = 64;

export interface Suspensions {
  usable(origin: string): boolean;
  /** It works again. */
  lift(origin: string): void;
  /** It failed; it is passed over for `longestMs` at most. */
  extend(origin: string, longestMs: number): void;
}

export function createSuspensions(now: () => number): Suspensions {
  const suspended = new Map<string, { readonly until: number; readonly ms: number }>();
  return {
    usable: (origin) => (suspended.get(origin)?.until ?? 0) <= now(),
    lift: (origin) => void suspended.delete(origin),
    extend(origin, longestMs) {
      const before = suspended.get(origin);
      const ms = before === undefined ? SUSPENSION_MS : Math.min(before.ms * 2, longestMs);
      suspended.delete(origin);
      suspended.set(origin, { until: now() + ms, ms });
      // A Map keeps the order of insertion: the first one is the oldest.
      const oldest = suspended.keys().next().value;
      if (suspended.size > SUSPENSIONS_MAX && oldest !== undefined) suspended.delete(oldest);
    },
  };
}
