/** A state machine that contradicts itself must not go on: the node stops. */
export function invariant(holds: boolean, broken: string): asserts holds {
  if (!holds) throw new Error(`invariant of the state machine broken: ${broken}`);
}
