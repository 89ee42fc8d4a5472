/** Calls on one key are carried out in the order in which they were made, retries included. */

/** The place of a call among those on its key. */
export interface Turn {
  /** Counts the calls of a client. */
  readonly order: number;
  readonly key: string;
  /** Calls on the key that came before, and are neither settled nor still under way. */
  before(): number;
  /** An attempt of the call is under way; its place is kept until `ended`, even when the call settles earlier. */
  began(): void;
  ended(): void;
  /** The call has settled. */
  leave(): void;
}

export interface KeyOrder {
  enter(key: string): Turn;
}

/** `onMove` is called when calls have left, so that others may go. */
export function createKeyOrder(onMove: () => void): KeyOrder {
  /** Invariant: no empty arrays; each in the order of `Turn.order`. */
  const places = new Map<string, Turn[]>();
  let entered = 0;

  function remove(turn: Turn): void {
    const turns = places.get(turn.key) ?? [];
    const at = turns.indexOf(turn);
    if (at !== -1) turns.splice(at, 1);
    if (turns.length === 0) places.delete(turn.key);
    else onMove();
  }

  return {
    enter(key) {
      let underWay = false;
      let settled = false;
      const turn: Turn = {
        order: entered,
        key,
        before: () => places.get(key)?.indexOf(turn) ?? 0,
        began() {
          underWay = true;
        },
        ended() {
          underWay = false;
          if (settled) remove(turn);
        },
        leave() {
          settled = true;
          if (!underWay) remove(turn);
        },
      };
      entered += 1;
      const turns = places.get(key);
      if (turns === undefined) places.set(key, [turn]);
      else turns.push(turn);
      return turn;
    },
  };
}
