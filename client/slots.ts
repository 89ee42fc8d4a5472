/** What comes and goes by the thousand a second. */

export interface Slotted {
  /** Its place among the others; undefined when it is in none. For `Slots` alone. */
  slot: number | undefined;
}

/**
 * Some objects, in no order. Not a `Set`: whenever that makes room, V8 leaves a table behind that points to the next one, so that all that
 * was ever in it stays until the next full collection. Half of what calls allocated was then copied by each small one.
 */
export class Slots<T extends Slotted> {
  /** Each at its slot. */
  readonly #items: T[] = [];

  get size(): number {
    return this.#items.length;
  }

  values(): readonly T[] {
    return this.#items;
  }

  /** It must be in none. */
  add(item: T): void {
    item.slot = this.#items.push(item) - 1;
  }

  delete(item: T): void {
    const { slot } = item;
    if (slot === undefined) return;
    item.slot = undefined;
    const last = this.#items.pop();
    if (last === undefined || last === item) return;
    this.#items[slot] = last;
    last.slot = slot;
  }
}
