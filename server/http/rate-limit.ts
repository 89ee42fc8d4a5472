/**
 * How many requests one client may make: the generic cell rate algorithm, which keeps one number for each of them. Of a second's worth a client
 * may make all at once; then it has to wait.
 */

/** Clients that are remembered, at most; the one that was not heard of for longest is forgotten, and may begin anew. */
const CLIENTS_MAX = 10_000;

const SECOND_MS = 1000;

export interface RateLimit {
  /** Counts a request of this client at this time (monotonic, in ms); 0 when it may be carried out, else the ms until one may. */
  take(client: string, nowMs: number): number;
}

export function createRateLimit(requestsPerSecond: number): RateLimit {
  const intervalMs = SECOND_MS / requestsPerSecond;
  /** By client: when all that it has asked for is paid off. Invariant: at most `CLIENTS_MAX`, the longest unheard of first. */
  const paidOffMs = new Map<string, number>();
  return {
    take(client, nowMs) {
      const freeMs = Math.max(paidOffMs.get(client) ?? 0, nowMs);
      const waitMs = freeMs + intervalMs - nowMs - Math.max(SECOND_MS, intervalMs);
      // By so little, it is the arithmetic.
      if (waitMs > 1e-6) return waitMs;
      paidOffMs.delete(client);
      paidOffMs.set(client, freeMs + intervalMs);
      const [oldest] = paidOffMs.keys();
      if (paidOffMs.size > CLIENTS_MAX && oldest !== undefined) paidOffMs.delete(oldest);
      return 0;
    },
  };
}
