/** Calls on one key are carried out in the order in which they were made, retries included. */

/** The place of a call among those on its key. */
export interface Turn {
  /** Counts the calls of a client. */
  readonly order: number;
  /** Whether all that came before on its key have settled and are over, or are aboard the batch that is being made. */
  mayBoard(): boolean;
  /** It goes in the batch that is being made. `began` follows before another batch is made. */
  board(): void;
  /** An attempt of the call is under way; its place is kept until `ended`, even when the call settles earlier. */
  began(): void;
  ended(): void;
  /** The call has settled. */
  leave(): void;
}

export interface KeyOrder {
  enter(key: string): Turn;
}

/** The calls on one key that are neither settled nor over. */
interface Queue {
  readonly key: string;
  /** In the order of `Turn.order`. */
  readonly places: Place[];
  /** Of the first ones: how many are aboard the batch that is being made. */
  boarded: number;
}

/** `onMove` is called when calls have left, so that others may go. */
export function createKeyOrder(onMove: () => void): KeyOrder {
  /** Invariant: none of them is empty. */
  const queues = new Map<string, Queue>();
  let entered = 0;

  const remove = (queue: Queue, place: Place): void => {
    const at = queue.places.indexOf(place);
    if (at === -1) return;
    queue.places.splice(at, 1);
    if (queue.places.length === 0) queues.delete(queue.key);
    else onMove();
  };

  return {
    enter(key) {
      let queue = queues.get(key);
      if (queue === undefined) {
        queue = { key, places: [], boarded: 0 };
        queues.set(key, queue);
      }
      const place = new Place(entered, queue, remove);
      entered += 1;
      queue.places.push(place);
      return place;
    },
  };
}

class Place implements Turn {
  readonly order: number;
  readonly #queue: Queue;
  readonly #remove: (queue: Queue, place: Place) => void;
  #isUnderWay = false;
  #isSettled = false;

  constructor(order: number, queue: Queue, remove: (queue: Queue, place: Place) => void) {
    this.order = order;
    this.#queue = queue;
    this.#remove = remove;
  }

  mayBoard(): boolean {
    return this.#queue.places[this.#queue.boarded] === this;
  }

  board(): void {
    this.#queue.boarded += 1;
  }

  began(): void {
    this.#queue.boarded = 0;
    this.#isUnderWay = true;
  }

  ended(): void {
    this.#isUnderWay = false;
    if (this.#isSettled) this.#remove(this.#queue, this);
  }

  leave(): void {
    this.#isSettled = true;
    if (!this.#isUnderWay) this.#remove(this.#queue, this);
  }
}
