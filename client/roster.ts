/** Everybody who can be asked: the endpoints, and those who turned up later, since the members may all be others by now. */

/** Nodes that are no endpoints, at most; the ones known longest make room. */
const STRANGERS_MAX = 32;

export interface Roster {
  /** The endpoints first. */
  everyone(): readonly string[];
  /** The same, each of both kinds in turn, beginning with the one at this place. */
  inTurn(from: number): string[];
  /** False when it was known before. */
  meet(origin: string): boolean;
  /** All members, as told when `index` was known; others are forgotten, except `kept`. Returns those that were not known before. */
  learned(origins: readonly string[], index: number, kept: string | undefined): readonly string[];
  /** A node knows a configuration of this index; true when it is a later one than any before. */
  told(index: number): boolean;
  /** The latest of those; undefined: none. */
  toldIndex(): number | undefined;
  /** Whether the members were learned before the latest configuration was told of. */
  isOutdated(): boolean;
  /** Whether it is no member any more, while members can be asked: it need not be tried as often as one that may come back. */
  hasLeft(origin: string, usable: (origin: string) => boolean): boolean;
}

export function createRoster(endpoints: readonly string[]): Roster {
  let strangers: readonly string[] = [];
  /** As learned last; empty before that. */
  let members: ReadonlySet<string> = new Set();
  let learnedIndex = -1;
  let toldIndex = -1;

  const everyone = () => [...endpoints, ...strangers];

  function meet(origin: string): boolean {
    if (everyone().includes(origin)) return false;
    strangers = [...strangers, origin].slice(-STRANGERS_MAX);
    return true;
  }

  return {
    everyone,
    inTurn: (from) => [
      ...rotated(endpoints, from),
      ...rotated(strangers, Math.max(0, from - endpoints.length)),
    ],
    meet,
    learned(origins, index, kept) {
      members = new Set(origins);
      learnedIndex = index;
      strangers = strangers.filter((origin) => members.has(origin) || origin === kept);
      return origins.filter(meet);
    },
    told(index) {
      if (index <= toldIndex) return false;
      toldIndex = index;
      return true;
    },
    toldIndex: () => (toldIndex < 0 ? undefined : toldIndex),
    isOutdated: () => learnedIndex < toldIndex,
    hasLeft: (origin, usable) => members.size > 0 && !members.has(origin) && [...members].some(usable),
  };
}

function rotated(origins: readonly string[], by: number): string[] {
  return origins.map((_, at) => origins[(at + by) % origins.length] ?? '');
}
