/** The nodes that this client knows: which one leads, which ones have failed of late, whose turn it is. */

import { originOf, schemeOf } from './options.js';

/** `leader`: the node that needs no forwarding. `any`: each of the endpoints in turn. */
export type Route = 'leader' | 'any';

/** A node that failed is passed over for this long, doubled with each failure in a row, while another one is left. */
const SUSPENSION_MS = 1_000;
const SUSPENSION_MS_MAX = 5_000;

/** For a leader known from others only: its address may be one that can't be reached from here at all. */
const STRANGER_SUSPENSION_MS_MAX = 60_000;

/** Failed nodes remembered at most; a cluster has far fewer. */
const SUSPENSIONS_MAX = 64;

/** Nodes that are no endpoints, and lead or have led, are remembered, so many of them: the members may all be others than the endpoints by now. */
const STRANGERS_MAX = 16;

/** What one attempt wants of its node. */
export interface Wish {
  readonly route: Route;
  /** When a node may be asked (a time; 0: at once). One that may be asked now comes before any other. */
  readonly readyAt: (origin: string) => number;
  /** Goes first on the route `any`, while it works. */
  readonly preferred?: string | undefined;
  /** Goes last: it has just refused. */
  readonly avoided?: string | undefined;
}

export interface Nodes {
  /** The node to ask next. */
  pick(wish: Wish): string;
  /** The earliest time at which some node may be asked. */
  earliest(wish: Wish): number;
  /** An answer came from `origin`, with its word on who leads: `host:port`, null for nobody, undefined when it said nothing. */
  answered(origin: string, leader: string | null | undefined): void;
  /** No answer came from `origin`, or it is going away. */
  failed(origin: string): void;
}

export function createNodes(endpoints: readonly string[], now: () => number): Nodes {
  const scheme = schemeOf(endpoints);
  const suspended = new Map<string, { readonly until: number; readonly ms: number }>();
  let leader: string | undefined;
  let nextForLeader = 0;
  // Many short-lived clients must not all read from the first endpoint.
  let nextForAny = Math.floor(Math.random() * endpoints.length);

  const usable = (origin: string) => (suspended.get(origin)?.until ?? 0) <= now();
  const strangers: string[] = [];
  const everyone = () => [...endpoints, ...strangers];
  const inTurn = (from: number) => [
    ...endpoints.map((_, i) => endpoints[(from + i) % endpoints.length] ?? ''),
    ...strangers,
  ];
  const known = (route: Route): string[] =>
    route === 'any' || leader === undefined || everyone().includes(leader)
      ? everyone()
      : [leader, ...everyone()];

  function candidates({ route, preferred, avoided }: Wish): string[] {
    const first = route === 'leader' ? leader : preferred;
    const rest = inTurn(route === 'leader' ? nextForLeader : nextForAny);
    const all = first === undefined ? rest : [first, ...rest.filter((origin) => origin !== first)];
    const rank = (origin: string) => Number(!usable(origin)) * 2 + Number(origin === avoided);
    // The sort is stable: it only moves back what is suspended or to be avoided.
    return all.sort((a, b) => rank(a) - rank(b));
  }

  function meet(origin: string): void {
    if (everyone().includes(origin)) return;
    strangers.push(origin);
    if (strangers.length > STRANGERS_MAX) strangers.shift();
  }

  return {
    pick(wish) {
      const { route, readyAt } = wish;
      const all = candidates(wish);
      const soonest = Math.min(...all.map(readyAt));
      const bound = Math.max(now(), soonest);
      const picked = all.find((origin) => readyAt(origin) <= bound) ?? '';
      const position = endpoints.indexOf(picked);
      if (route === 'any') nextForAny = position + 1;
      else if (picked !== leader) nextForLeader = position + 1;
      return picked;
    },
    earliest: ({ route, readyAt }) => Math.min(...known(route).map(readyAt)),
    answered(origin, hint) {
      suspended.delete(origin);
      const named = typeof hint === 'string' ? originOf(hint, scheme) : undefined;
      meet(origin);
      // It may be the last word of the last node that is known.
      if (named !== undefined) meet(named);
      // Others may go on naming a dead leader until they elect the next one.
      if (named !== undefined && usable(named)) leader = named;
      else if (hint === null && leader === origin) leader = undefined;
    },
    failed(origin) {
      if (leader === origin) leader = undefined;
      const before = suspended.get(origin);
      const longest = endpoints.includes(origin) ? SUSPENSION_MS_MAX : STRANGER_SUSPENSION_MS_MAX;
      const ms = before === undefined ? SUSPENSION_MS : Math.min(before.ms * 2, longest);
      suspended.delete(origin);
      suspended.set(origin, { until: now() + ms, ms });
      // A Map keeps the order of insertion: the first one is the oldest.
      const oldest = suspended.keys().next().value;
      if (suspended.size > SUSPENSIONS_MAX && oldest !== undefined) suspended.delete(oldest);
    },
  };
}
