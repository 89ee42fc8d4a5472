/** A broken invariant means that the state can't be trusted any more; the node must stop (DESIGN: rules that safety hangs on). */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

export function invariant(holds: boolean, broken: string): asserts holds {
  if (!holds) throw new InvariantError(`invariant broken: ${broken}`);
}
