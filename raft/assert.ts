/** A broken invariant means that the state can't be trusted any more; the node must stop (DESIGN: rules that safety hangs on). */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

/** @param broken where it is asked for often, a function: most are never put into words */
export function invariant(holds: boolean, broken: string | (() => string)): asserts holds {
  if (!holds) throw new InvariantError(`invariant broken: ${typeof broken === 'string' ? broken : broken()}`);
}
