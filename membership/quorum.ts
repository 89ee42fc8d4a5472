/**
 * The arithmetic of majorities (§5.2, §5.3). A leaf without state, tested against a naive twin.
 */

/** The smallest number of `voters` that is a majority. */
export function majority(voters: number): number {
  return Math.floor(voters / 2) + 1;
}

/**
 * The largest value that a majority of the voters has reached: each voter's value is looked up with `valueOf`,
 * 0 where nothing is known. With no voters nothing is agreed: 0.
 */
export function agreed<Id>(voters: readonly Id[], valueOf: (id: Id) => number): number {
  if (voters.length === 0) return 0;
  const values = voters.map(valueOf).sort((a, b) => b - a);
  return values[majority(voters.length) - 1] ?? 0;
}

export type VoteResult = 'won' | 'lost' | 'pending';

/** The state of an election: `undefined` stands for a vote that has not come yet. */
export function voteResult<Id>(voters: readonly Id[], voteOf: (id: Id) => boolean | undefined): VoteResult {
  const needed = majority(voters.length);
  let granted = 0;
  let open = 0;
  for (const id of voters) {
    const vote = voteOf(id);
    if (vote === true) granted += 1;
    else if (vote === undefined) open += 1;
  }
  if (granted >= needed) return 'won';
  return granted + open >= needed ? 'pending' : 'lost';
}

/** The same for several groups, each of which has to agree (§6). */
export function agreedByAll<Id>(groups: readonly (readonly Id[])[], valueOf: (id: Id) => number): number {
  return groups.reduce((least, voters) => Math.min(least, agreed(voters, valueOf)), Infinity);
}

/** Lost as soon as one group is lost, won once each of them is won (§6). */
export function voteResultOfAll<Id>(
  groups: readonly (readonly Id[])[],
  voteOf: (id: Id) => boolean | undefined,
): VoteResult {
  const results = groups.map((voters) => voteResult(voters, voteOf));
  if (results.includes('lost')) return 'lost';
  return results.includes('pending') ? 'pending' : 'won';
}
