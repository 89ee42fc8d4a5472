/**
 * Notices a node that is too sick to lead although its heartbeats go on, or that was away without knowing it: a disk that
 * stalls (hashicorp/raft 503), a process or an event loop that stood still (etcd 13527). Such a leader hands over, or
 * steps down.
 */

import { voters } from '../membership/configuration.js';
import type { NodeId } from '../membership/configuration.js';
import type { RaftState } from '../raft/state.js';

export interface WatchdogOptions {
  /** A disk write that takes longer makes the node unfit to lead. */
  readonly diskStallTimeoutMs: number;
  /** So has a loop that did not turn for longer. */
  readonly loopStallTimeoutMs: number;
}

/** What a look led to. */
export type Advice =
  | { readonly do: 'nothing' }
  /** The disk has just stalled, or answers again. */
  | { readonly do: 'note-disk'; readonly stalled: boolean }
  | { readonly do: 'hand-over'; readonly to: NodeId }
  | { readonly do: 'step-down'; readonly why: string };

export class Watchdog {
  readonly #options: WatchdogOptions;
  /** When the write that is out was begun. */
  #writingSinceMs: number | undefined;
  #stalled = false;
  /** A hand-over was advised since the disk stalled. */
  #handedOver = false;

  constructor(options: WatchdogOptions) {
    this.#options = options;
  }

  writeBegan(nowMs: number): void {
    this.#writingSinceMs = nowMs;
  }

  writeEnded(): void {
    this.#writingSinceMs = undefined;
  }

  /** At every tick; `sinceLastMs`: since the last look. What is to be done, one thing at a time. */
  look(state: Readonly<RaftState>, nowMs: number, sinceLastMs: number): Advice {
    const { diskStallTimeoutMs, loopStallTimeoutMs } = this.#options;
    const leads = state.current.role === 'leader';
    if (leads && sinceLastMs >= loopStallTimeoutMs) {
      return { do: 'step-down', why: `the event loop stood still for ${Math.round(sinceLastMs)} ms` };
    }
    const writingMs = this.#writingSinceMs === undefined ? 0 : nowMs - this.#writingSinceMs;
    const stalled = writingMs >= diskStallTimeoutMs;
    if (stalled !== this.#stalled) {
      this.#stalled = stalled;
      this.#handedOver = false;
      return { do: 'note-disk', stalled };
    }
    if (!stalled || state.current.role !== 'leader' || state.current.transfer !== undefined) {
      return { do: 'nothing' };
    }
    const to = this.#handedOver ? undefined : mostAdvanced(state);
    // One that ran into its time-out was the one attempt.
    this.#handedOver = true;
    if (to === undefined)
      return { do: 'step-down', why: `the disk has not answered for ${Math.round(writingMs)} ms` };
    return { do: 'hand-over', to };
  }
}

/** The voter that has most of the log, among those that were heard of lately; undefined where this node does not lead. */
export function mostAdvanced(state: Readonly<RaftState>): NodeId | undefined {
  const { current, now, options, configuration } = state;
  if (current.role !== 'leader') return undefined;
  const [, maxTicks] = options.electionTicks;
  let best: { readonly id: NodeId; readonly match: number } | undefined;
  for (const id of voters(configuration)) {
    const progress = current.progress.get(id);
    if (progress === undefined || now - progress.contactTick > maxTicks) continue;
    if (best === undefined || progress.match > best.match) best = { id, match: progress.match };
  }
  return best?.id;
}
