/** The simulated network: every link, in each direction, may lose, delay, double and reorder, or be cut. */

import type { Random } from './random.js';
import type { World } from './world.js';

export interface LinkQuality {
  readonly delayMs: readonly [min: number, max: number];
  readonly loss: number;
  readonly doubled: number;
  /** How often something takes ten times as long, and is overtaken. */
  readonly late: number;
}

export const GOOD_LINK: LinkQuality = { delayMs: [0.05, 0.5], loss: 0, doubled: 0, late: 0 };

export class Network {
  quality: LinkQuality = GOOD_LINK;
  /** So many of the messages on a connection take so much longer. */
  stalls: { readonly share: number; readonly delayMs: readonly [min: number, max: number] } | undefined;
  readonly #world: World;
  readonly #random: Random;
  /** To whom everything takes so much longer, in ms. */
  readonly #slowTo = new Map<string, number>();
  /** False: the specification that a trace is held against takes each message once. */
  readonly #mayDouble: boolean;
  /** Directed pairs that nothing passes. */
  readonly #cut = new Set<string>();

  constructor(world: World, random: Random, mayDouble = true) {
    this.#mayDouble = mayDouble;
    this.#world = world;
    this.#random = random;
  }

  cut(from: string, to: string): void {
    this.#cut.add(`${from}>${to}`);
  }

  /** Everything that is sent to `to` takes up to so much longer, until all is healed. */
  slowDown(to: string, delayMs: number): void {
    this.#slowTo.set(to, delayMs);
  }

  heal(): void {
    this.#cut.clear();
    this.#slowTo.clear();
    this.stalls = undefined;
    this.quality = GOOD_LINK;
  }

  isCut(from: string, to: string): boolean {
    return this.#cut.has(`${from}>${to}`);
  }

  /** Calls `deliver` when something sent now arrives: never, once, or twice. */
  send(from: string, to: string, deliver: () => void): void {
    const { loss, doubled } = this.quality;
    if (this.isCut(from, to) || this.#random.chance(loss)) return;
    // A cut loses what is on its way, too.
    const arrived = (): void => {
      if (!this.isCut(from, to)) deliver();
    };
    this.#arrive(to, arrived);
    if (this.#random.chance(doubled) && this.#mayDouble) this.#arrive(to, arrived);
  }

  /** For what a connection guards: it comes once, or the connection breaks. */
  sendOnce(from: string, to: string, deliver: () => void): boolean {
    if (this.isCut(from, to) || this.#random.chance(this.quality.loss)) return false;
    const { stalls } = this;
    const isStalled = stalls !== undefined && this.#random.chance(stalls.share);
    this.#arrive(to, deliver, isStalled ? this.#random.between(...stalls.delayMs) : 0);
    return true;
  }

  #arrive(to: string, deliver: () => void, stalledMs = 0): void {
    const { delayMs, late } = this.quality;
    const [min, max] = delayMs;
    const delay = stalledMs + this.#random.between(min, max) * (this.#random.chance(late) ? 10 : 1);
    const slow = this.#slowTo.get(to);
    this.#world.after(delay + (slow === undefined ? 0 : this.#random.between(0.5, 1) * slow), deliver);
  }
}
