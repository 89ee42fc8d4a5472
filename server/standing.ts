/** What a node is in consensus right now, and who waits for that to change. */

import type { Configuration, NodeId } from '../membership/configuration.js';
import type { Term } from '../raft/entry.js';
import type { Role } from '../raft/state.js';
import type { Clock } from './ports.js';

export interface Standing {
  readonly term: Term;
  readonly role: Role;
  readonly leader: NodeId | undefined;
  /** The latest one that is committed. */
  readonly configuration: Configuration;
}

interface Watcher {
  readonly wanted: (standing: Standing) => boolean;
  readonly finish: (reached: boolean) => void;
}

/** Resolves once the standing is as wanted (true); after the time-out, when cancelled or at the stop (false). */
export interface Watch {
  readonly reached: Promise<boolean>;
  readonly cancel: () => void;
}

export class Standings {
  readonly #clock: Clock;
  readonly #watchers = new Set<Watcher>();
  #now: Standing;
  #stopped = false;

  constructor(clock: Clock, first: Standing) {
    this.#clock = clock;
    this.#now = first;
  }

  get now(): Standing {
    return this.#now;
  }

  /** Tells `changed` and the watchers when `now` is another one than before. */
  update(now: Standing, changed: (now: Standing, before: Standing) => void): void {
    const before = this.#now;
    if (isSame(now, before)) return;
    this.#now = now;
    changed(now, before);
    for (const { wanted, finish } of this.#watchers) if (wanted(now)) finish(true);
  }

  watch(wanted: (standing: Standing) => boolean, timeoutMs: number): Watch {
    let done: (reached: boolean) => void = () => undefined;
    const reached = new Promise<boolean>((resolve) => (done = resolve));
    const stopTimer = this.#clock.after(timeoutMs, () => finish(false));
    const finish = (result: boolean): void => {
      stopTimer();
      this.#watchers.delete(watcher);
      done(result);
    };
    const watcher: Watcher = { wanted, finish };
    this.#watchers.add(watcher);
    if (wanted(this.#now)) finish(true);
    else if (this.#stopped) finish(false);
    return { reached, cancel: () => finish(false) };
  }

  stop(): void {
    this.#stopped = true;
    for (const { finish } of this.#watchers) finish(false);
  }
}

function isSame(a: Standing, b: Standing): boolean {
  return (
    a.term === b.term && a.role === b.role && a.leader === b.leader && a.configuration === b.configuration
  );
}
