/**
 * The one loop of a node: feeds the core and carries out what it decides, in the order that `raft/ready.ts` lays down.
 * Nothing here waits between reading and changing consensus state; the only asynchronous things are the ports, and
 * each answers into a new turn of the loop.
 */

import { writeStamp } from '../kv/codec.js';
import type { Configuration, NodeId } from '../membership/configuration.js';
import type { LogStore } from '../persistence/log-store.js';
import type { StateStore } from '../persistence/state-store.js';
import type { Entry, Index, Term } from '../raft/entry.js';
import type { Message } from '../raft/messages.js';
import { Raft } from '../raft/raft.js';
import type { Refusal } from '../raft/raft.js';
import type { Append, Committed, Fetch } from '../raft/ready.js';
import type { RaftOptions, RaftSeed, RaftState, Role } from '../raft/state.js';
import type { AppliedEntry } from './applier.js';
import { Applier } from './applier.js';
import type { Clock, Inbox, Transport } from './ports.js';
import type { ProposalOutcome } from './waiters.js';
import { AppliedWaiters, ProposalWaiters } from './waiters.js';
import type { Advice, WatchdogOptions } from './watchdog.js';
import { Watchdog } from './watchdog.js';

export interface NodePorts {
  readonly clock: Clock;
  readonly transport: Transport;
  readonly logStore: LogStore;
  readonly stateStore: StateStore;
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
  /** An invariant of the core is broken: the process must end, whoever the caller was. */
  broken(error: unknown): void;
}

export interface Standing {
  readonly term: Term;
  readonly role: Role;
  readonly leader: NodeId | undefined;
}

export type ReadIndexOutcome =
  | { readonly status: 'confirmed'; readonly index: Index }
  | { readonly status: 'refused'; readonly why: Refusal | 'stopping' }
  /** Leadership went before it could be confirmed. */
  | { readonly status: 'lost' };

interface Watcher {
  readonly wanted: (standing: Standing) => boolean;
  readonly finish: (reached: boolean) => void;
}

/** After a pause of the process, time goes on by this many ticks at once: what peers sent meanwhile is read first. */
const CATCH_UP_TICKS_MAX = 3;

export class Node implements Inbox {
  readonly #ports: NodePorts;
  readonly #options: NodeOptions;
  readonly #events: NodeEvents;
  readonly #core: Raft;
  readonly #applier: Applier;
  readonly #watchdog: Watchdog;
  readonly #proposals = new ProposalWaiters();
  readonly #appliedWaiters = new AppliedWaiters();
  readonly #reads = new Map<number, (outcome: ReadIndexOutcome) => void>();
  readonly #watchers = new Set<Watcher>();
  #lastReadId = 0;
  /** Where this leader's log time is counted from. */
  #timeBase: { readonly term: Term; readonly logTimeMs: number; readonly clockMs: number } = {
    term: -1,
    logTimeMs: 0,
    clockMs: 0,
  };
  #standing: Standing;
  #turnDue = false;
  #lastTickMs = 0;
  #stopTicking: (() => void) | undefined;
  #stopped = false;

  constructor(ports: NodePorts, options: NodeOptions, seed: RaftSeed, events: NodeEvents) {
    this.#ports = ports;
    this.#options = options;
    this.#events = events;
    this.#core = new Raft(options.raft, seed);
    this.#applier = new Applier(ports.stateStore);
    this.#watchdog = new Watchdog(options.watchdog);
    this.#standing = this.#currentStanding();
  }

  /** Calls `done` once the state is readable; consensus runs from then on. */
  start(done: () => void): void {
    this.#applier.open(() => {
      const { clock } = this.#ports;
      this.#lastTickMs = clock.nowMs();
      this.#stopTicking = clock.every(this.#options.tickMs, () => this.#tick());
      this.#wake();
      done();
    });
  }

  /**
   * Takes part no more, and lets everyone go who waits for something. Proposals that are not decided stay so. From now on no
   * operation of a store is begun; those in flight may still end.
   */
  stop(): void {
    this.#stopped = true;
    this.#stopTicking?.();
    this.#applier.stop();
    this.#proposals.abandon();
    for (const settle of this.#reads.values()) settle({ status: 'lost' });
    this.#reads.clear();
    this.#appliedWaiters.abandon();
    for (const { finish } of this.#watchers) finish(false);
  }

  get isStopped(): boolean {
    return this.#stopped;
  }

  /** `reached` resolves once the standing is as wanted (true), or after `timeoutMs`, when cancelled or at the stop (false). */
  watchStanding(
    wanted: (standing: Standing) => boolean,
    timeoutMs: number,
  ): { readonly reached: Promise<boolean>; readonly cancel: () => void } {
    let done: (reached: boolean) => void = () => undefined;
    const reached = new Promise<boolean>((resolve) => (done = resolve));
    const stopTimer = this.#ports.clock.after(timeoutMs, () => finish(false));
    const finish = (result: boolean): void => {
      stopTimer();
      this.#watchers.delete(watcher);
      done(result);
    };
    const watcher: Watcher = { wanted, finish };
    this.#watchers.add(watcher);
    if (wanted(this.#standing)) finish(true);
    else if (this.#stopped) finish(false);
    return { reached, cancel: () => finish(false) };
  }

  whenStanding(wanted: (standing: Standing) => boolean, timeoutMs: number): Promise<boolean> {
    return this.watchStanding(wanted, timeoutMs).reached;
  }

  get standing(): Standing {
    return this.#standing;
  }

  get configuration(): Configuration {
    return this.#core.configuration;
  }

  /** The core's state, for status and checks; not to be changed. */
  get state(): Readonly<RaftState> {
    return this.#core.state;
  }

  /** The state machine reflects the log up to here. */
  get appliedIndex(): Index {
    return this.#applier.applied.index;
  }

  get keyCount(): number {
    return this.#applier.keyCount;
  }

  get pendingProposals(): number {
    return this.#proposals.size;
  }

  /** Reads that wait for an index to be applied here. */
  get waitingReads(): number {
    return this.#appliedWaiters.size;
  }

  /** Resolves once no proposal waits, or after `timeoutMs`. */
  whenDecided(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#ports.clock.after(timeoutMs, resolve);
      this.#proposals.whenEmpty(() => {
        cancel();
        resolve();
      });
    });
  }

  /** Appends a command where this node leads; settles when it is applied, or when it is certain that it never will be. */
  propose(command: Uint8Array): Promise<ProposalOutcome> {
    if (this.#stopped) return Promise.resolve({ status: 'refused', why: 'stopping' });
    if (this.#proposals.size >= this.#options.pendingMax) {
      return Promise.resolve({ status: 'refused', why: 'overloaded' });
    }
    // A copy: the same bytes may be in the log already, under an earlier stamp.
    const stamped = Buffer.from(command);
    writeStamp(stamped, this.logTimeMs());
    const proposed = this.#guard(() => this.#core.propose([stamped]));
    if (typeof proposed === 'string') return Promise.resolve({ status: 'refused', why: proposed });
    this.#wake();
    return new Promise((settle) => this.#proposals.add(proposed.firstIndex, proposed.term, settle));
  }

  /**
   * An index that, once applied, reflects every write acknowledged before this call (§8); only where this node leads. With `lease`,
   * without asking the others while the lease holds (thesis §6.4.1).
   */
  readIndex(lease = false): Promise<ReadIndexOutcome> {
    if (this.#stopped) return Promise.resolve({ status: 'refused', why: 'stopping' });
    if (lease) this.#core.clock(this.#ports.clock.nowMs());
    this.#lastReadId += 1;
    const id = this.#lastReadId;
    const taken = this.#guard(() => this.#core.readIndex(id, lease));
    if (taken !== 'taken') return Promise.resolve({ status: 'refused', why: taken });
    this.#wake();
    return new Promise((settle) => this.#reads.set(id, settle));
  }

  /** Resolves once `index` is applied here (true), or after `timeoutMs` or at the stop (false). */
  whenApplied(index: Index, timeoutMs: number): Promise<boolean> {
    if (index <= this.appliedIndex) return Promise.resolve(true);
    if (this.#stopped) return Promise.resolve(false);
    return new Promise((resolve) => {
      const finish = (reached: boolean): void => {
        stopTimer();
        forget();
        resolve(reached);
      };
      const stopTimer = this.#ports.clock.after(timeoutMs, () => finish(false));
      const forget = this.#appliedWaiters.add(index, finish);
    });
  }

  /** See `Raft.transfer`. */
  transfer(to: NodeId): ReturnType<Raft['transfer']> {
    const taken = this.#guard(() => this.#core.transfer(to));
    this.#wake();
    return taken;
  }

  receive(message: Message): void {
    if (this.#stopped) return;
    this.#guard(() => this.#core.step(message));
    this.#wake();
  }

  unreachable(peer: NodeId): void {
    if (this.#stopped) return;
    this.#guard(() => this.#core.unreachable(peer));
    this.#wake();
  }

  /**
   * Log time is the last stamp that is applied plus what has passed since on the leader's monotonic clock: it stands still
   * without a leader, and no wall clock moves it. Of meaning only where this node leads.
   */
  logTimeMs(): number {
    const nowMs = this.#ports.clock.nowMs();
    const { term } = this.#core.state;
    const { logTimeMs: appliedMs } = this.#applier;
    const sinceMs = this.#timeBase.logTimeMs + (nowMs - this.#timeBase.clockMs);
    if (this.#timeBase.term === term && sinceMs >= appliedMs) return sinceMs;
    this.#timeBase = { term, logTimeMs: appliedMs, clockMs: nowMs };
    return appliedMs;
  }

  /** Callers may catch errors, to answer a request with them; a broken invariant gets past none of them. */
  #guard<T>(decide: () => T): T {
    try {
      return decide();
    } catch (error) {
      this.#events.broken(error);
      throw error;
    }
  }

  /** What arrives within one turn of the event loop shares one turn of this loop: group commit falls out of that. */
  #wake(): void {
    if (this.#turnDue) return;
    this.#turnDue = true;
    this.#ports.clock.soon(() => this.#turn());
  }

  #tick(): void {
    const { tickMs } = this.#options;
    const nowMs = this.#ports.clock.nowMs();
    const due = Math.floor((nowMs - this.#lastTickMs) / tickMs);
    const ticks = Math.min(due, CATCH_UP_TICKS_MAX);
    this.#core.clock(nowMs);
    this.#heed(this.#watchdog.look(this.#core.state, nowMs, nowMs - this.#lastTickMs));
    this.#lastTickMs = due > ticks ? nowMs : this.#lastTickMs + ticks * tickMs;
    for (let tick = 0; tick < ticks; tick += 1) this.#core.tick();
    this.#turn();
  }

  #heed(advice: Advice): void {
    switch (advice.do) {
      case 'nothing':
        return;
      case 'note-disk':
        this.#core.diskStalled(advice.stalled);
        this.#events.unfit(advice.stalled ? 'the disk does not answer' : undefined);
        return;
      case 'hand-over':
        this.#core.transfer(advice.to);
        this.#events.unfit(`leadership is handed to ${advice.to}`);
        return;
      case 'step-down':
        this.#core.stepDown();
        this.#events.unfit(advice.why);
        return;
    }
  }

  #turn(): void {
    this.#turnDue = false;
    if (this.#stopped) return;
    this.#core.clock(this.#ports.clock.nowMs());
    const ready = this.#core.ready();
    if (ready.messages.length > 0) this.#ports.transport.send(ready.messages);
    if (ready.append !== undefined) this.#append(ready.append);
    if (ready.committed !== undefined) this.#apply(ready.committed);
    for (const { id, index } of ready.reads) this.#settleRead(id, { status: 'confirmed', index });
    for (const id of ready.failedReads) this.#settleRead(id, { status: 'lost' });
    for (const fetch of ready.fetches) this.#fetch(fetch);
    for (const refusal of ready.refusals) this.#events.refused(refusal);
    this.#announce();
  }

  #append(append: Append): void {
    const { entries, hardState, messages } = append;
    this.#watchdog.writeBegan(this.#ports.clock.nowMs());
    this.#ports.logStore.append(hardState === undefined ? { entries } : { entries, hardState }, () => {
      if (this.#stopped) return;
      this.#watchdog.writeEnded();
      this.#core.durable();
      if (messages.length > 0) this.#ports.transport.send(messages);
      this.#wake();
    });
  }

  #apply({ from, to, entries }: Committed): void {
    if (entries !== undefined) {
      this.#applier.apply(entries, (applied) => this.#applied(applied));
      return;
    }
    this.#ports.logStore.read(from, to, this.#options.raft.applyBytesMax, (read) => {
      if (this.#stopped) return;
      this.#applier.apply(read, (applied) => this.#applied(applied));
    });
  }

  #applied(applied: readonly AppliedEntry[]): void {
    this.#core.applied(this.appliedIndex);
    for (const { entry, result } of applied) this.#proposals.applied(entry.index, entry.term, result);
    this.#appliedWaiters.applied(this.appliedIndex);
    this.#wake();
  }

  #fetch(fetch: Fetch): void {
    this.#ports.logStore.read(fetch.from, fetch.through, fetch.bytesMax, (entries: readonly Entry[]) => {
      if (this.#stopped) return;
      this.#core.fetched(fetch, entries);
      this.#wake();
    });
  }

  #settleRead(id: number, outcome: ReadIndexOutcome): void {
    this.#reads.get(id)?.(outcome);
    this.#reads.delete(id);
  }

  #announce(): void {
    const before = this.#standing;
    const now = this.#currentStanding();
    if (now.term === before.term && now.role === before.role && now.leader === before.leader) return;
    this.#standing = now;
    this.#events.changed(now, before);
    for (const { wanted, finish } of this.#watchers) if (wanted(now)) finish(true);
  }

  #currentStanding(): Standing {
    return { term: this.#core.state.term, role: this.#core.state.current.role, leader: this.#core.leader };
  }
}
