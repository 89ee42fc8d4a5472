/** The nodes that this client knows: which one leads, which ones have failed of late, whose turn it is. */

import { originOf, schemeOf } from './options.js';
import { createRoster } from './roster.js';
import { createSuspensions } from './suspensions.js';

/** `leader`: the node that needs no forwarding. `any`: each of the endpoints in turn. */
export type Route = 'leader' | 'any';

/** An endpoint that failed is passed over for so long at most. */
const SUSPENSION_MS_MAX = 5_000;

/** For a leader known from others only: its address may be one that can't be reached from here at all. */
const STRANGER_SUSPENSION_MS_MAX = 60_000;

/** What a node said of its cluster beside its answer. */
export interface Word {
  /** Who leads: `host:port`, null for nobody, undefined when it said nothing. */
  readonly leader: string | null | undefined;
  /** `KV-Members`; undefined when it said nothing. */
  readonly membersIndex: number | undefined;
}

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
  /** An answer came from `origin`. */
  answered(origin: string, word: Word): void;
  /** No answer came from `origin`, or it is going away and says who leads now. */
  failed(origin: string, word?: Word): void;
  /** `host:port` of all members, as told when `index` was known; returns the origins that were not known before. */
  learned(addresses: readonly string[], index: number): readonly string[];
  /** The index of the latest configuration that a node told of; undefined: of none. */
  membersIndex(): number | undefined;
  /** Whether that is a later one than the members were learned of. */
  isOutdated(): boolean;
  /** Called when the members are others than those learned, perhaps: a node told so, or a node failed. */
  onDoubt: () => void;
}

export function createNodes(endpoints: readonly string[], now: () => number): Nodes {
  const scheme = schemeOf(endpoints);
  const suspensions = createSuspensions(now);
  const roster = createRoster(endpoints);
  let leader: string | undefined;
  let nextForLeader = 0;
  // Many short-lived clients must not all read from the first endpoint.
  let nextForAny = Math.floor(Math.random() * endpoints.length);

  const usable = (origin: string) => suspensions.usable(origin);
  const known = (route: Route): readonly string[] =>
    route === 'any' || leader === undefined || roster.everyone().includes(leader)
      ? roster.everyone()
      : [leader, ...roster.everyone()];

  function candidates({ route, preferred, avoided }: Wish): string[] {
    const first = route === 'leader' ? leader : preferred;
    const rest = roster.inTurn(route === 'leader' ? nextForLeader : nextForAny);
    const all = first === undefined ? rest : [first, ...rest.filter((origin) => origin !== first)];
    const rank = (origin: string) => Number(!usable(origin)) * 2 + Number(origin === avoided);
    // The sort is stable: it only moves back what is suspended or to be avoided.
    return all.sort((a, b) => rank(a) - rank(b));
  }

  /** True when there is news of the members. */
  function hear({ leader: named, membersIndex }: Word): boolean {
    const origin = typeof named === 'string' ? originOf(named, scheme) : undefined;
    // It may be the last word of the last node that is known.
    if (origin !== undefined) roster.meet(origin);
    // Others may go on naming a dead leader until they elect the next one.
    if (origin !== undefined && usable(origin)) leader = origin;
    return membersIndex !== undefined && roster.told(membersIndex);
  }

  const nodes: Nodes = {
    pick(wish) {
      const { route, readyAt } = wish;
      const all = candidates(wish);
      const soonest = Math.min(...all.map(readyAt));
      const bound = Math.max(now(), soonest);
      const picked = all.find((origin) => readyAt(origin) <= bound) ?? '';
      const next = roster.everyone().indexOf(picked) + 1;
      if (route === 'any') nextForAny = next;
      else if (picked !== leader) nextForLeader = next;
      return picked;
    },
    earliest: ({ route, readyAt }) => Math.min(...known(route).map(readyAt)),
    answered(origin, word) {
      suspensions.lift(origin);
      roster.meet(origin);
      const isNews = hear(word);
      if (word.leader === null && leader === origin) leader = undefined;
      if (isNews) nodes.onDoubt();
    },
    failed(origin, word) {
      if (leader === origin) leader = undefined;
      const isStranger = !endpoints.includes(origin) || roster.hasLeft(origin, usable);
      suspensions.extend(origin, isStranger ? STRANGER_SUSPENSION_MS_MAX : SUSPENSION_MS_MAX);
      if (word !== undefined) hear(word);
      nodes.onDoubt();
    },
    learned: (addresses, index) => {
      const origins = addresses
        .map((address) => originOf(address, scheme))
        .filter((origin) => origin !== undefined);
      return roster.learned(origins, index, leader);
    },
    membersIndex: () => roster.toldIndex(),
    isOutdated: () => roster.isOutdated(),
    onDoubt: () => undefined,
  };
  return nodes;
}
