/** What a node's loop (`node.ts`) is made with, and what it tells. */

import type { LogStore } from '../persistence/log-store.js';
import type { StateStore } from '../persistence/state-store.js';
import type { Index } from '../raft/entry.js';
import type { ChangeRefusal } from '../raft/membership.js';
import type { RaftOptions } from '../raft/state.js';
import type { AppliedEntry } from './applier.js';
import type { WriteStages } from './metrics/write-stages.js';
import type { Clock, Transport } from './ports.js';
import type { SnapshotHand, Snapshotting } from './snapshotting.js';
import type { Standing } from './standing.js';
import type { WatchdogOptions } from './watchdog.js';

/** What became of a change of the members that was asked for. */
export type ChangeOutcome =
  | { readonly status: 'appended'; readonly index: Index }
  | ({ readonly status: 'refused' } & (ChangeRefusal | { readonly why: 'stopping' }));

export interface NodePorts {
  readonly clock: Clock;
  readonly transport: Transport;
  readonly logStore: LogStore;
  readonly stateStore: StateStore;
  /** Made when the loop is: each drives the other. */
  readonly snapshots: (hand: SnapshotHand) => Snapshotting;
}

export interface NodeOptions {
  readonly raft: RaftOptions;
  /** What one tick of the core is, in milliseconds. */
  readonly tickMs: number;
  /** Proposals that wait to be applied, at most; further ones are refused as `overloaded`. */
  readonly pendingMax: number;
  readonly watchdog: WatchdogOptions;
}

/** What others may want to know of a change; called between turns. */
export interface NodeEvents {
  /** Term, role or leader are others than before. */
  changed(now: Standing, before: Standing): void;
  /** A message came that no correct peer sends; it changed nothing. */
  refused(what: string): void;
  /** What makes this node unfit to lead, and what is done about it; undefined: it is fit again. */
  unfit(why: string | undefined): void;
  /** Entries were applied, in order. */
  applied?(applied: readonly AppliedEntry[]): void;
  /** Applying the entries up to `index` threw, or reading what the state machine keeps in memory; the process must end, and the error goes on. */
  unappliable?(index: Index, error: unknown): void;
  /** Hears how far writes have come that were proposed here. */
  readonly stages?: WriteStages;
  /** An invariant of the core is broken: the process must end, whoever the caller was. */
  broken(error: unknown): void;
}
