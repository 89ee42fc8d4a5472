/**
 * The one loop of a node: feeds the core and carries out what it decides, in the order that `raft/ready.ts` lays down.
 * Nothing here waits between reading and changing consensus state; the only asynchronous things are the ports, and
 * each answers into a new turn of the loop.
 */

import type { Change } from '../membership/change.js';
import type { Configuration, NodeId } from '../membership/configuration.js';
import type { Entry, Index, Snapshot } from '../raft/entry.js';
import type { Message } from '../raft/messages.js';
import { Raft } from '../raft/raft.js';
import type { Refusal } from '../raft/raft.js';
import type { Append, Committed, Fetch } from '../raft/ready.js';
import type { RaftState } from '../raft/state.js';
import type { AppliedEntry } from './applier.js';
import { Applier, bytesOf } from './applier.js';
import { LogClock } from './log-clock.js';
import { LogWriter } from './log-writer.js';
import type { ChangeOutcome, NodeEvents, NodeOptions, NodePorts } from './node-parts.js';
import type { Inbox } from './ports.js';
import { Proposals } from './proposals.js';
import type { Recovered } from './recovery.js';
import type { Snapshotting } from './snapshotting.js';
import type { SnapshotHand } from './snapshotting.js';
import { handOf } from './snapshotting.js';
import type { Standing, Watch } from './standing.js';
import { Standings } from './standing.js';
import type { ProposalOutcome } from './waiters.js';
import { AppliedWaiters } from './waiters.js';
import type { Advice } from './watchdog.js';
import { Watchdog } from './watchdog.js';

export type ReadIndexOutcome =
  | { readonly status: 'confirmed'; readonly index: Index }
  | { readonly status: 'refused'; readonly why: Refusal | 'stopping' }
  /** Leadership went before it could be confirmed. */
  | { readonly status: 'lost' };

/** After a pause of the process, time goes on by this many ticks at once: what peers sent meanwhile is read first. */
const CATCH_UP_TICKS_MAX = 3;

export class Node implements Inbox {
  readonly #ports: NodePorts;
  readonly #options: NodeOptions;
  readonly #events: NodeEvents;
  readonly #core: Raft;
  readonly #applier: Applier;
  readonly #logWriter: LogWriter;
  readonly #watchdog: Watchdog;
  readonly #proposals: Proposals;
  readonly #appliedWaiters = new AppliedWaiters();
  readonly #reads = new Map<number, (outcome: ReadIndexOutcome) => void>();
  readonly #standings: Standings;
  readonly #snapshots: Snapshotting;
  readonly #logClock = new LogClock();
  #lastReadId = 0;
  #turnDue = false;
  /** An append is on its way to the disk. */
  #appending = false;
  #lastTickMs = 0;
  #stopTicking: (() => void) | undefined;
  #stopped = false;

  constructor(
    ports: NodePorts,
    options: NodeOptions,
    recovered: Pick<Recovered, 'seed' | 'applied'>,
    events: NodeEvents,
  ) {
    this.#ports = ports;
    this.#options = options;
    this.#events = events;
    this.#core = new Raft(options.raft, recovered.seed);
    this.#applier = new Applier(ports.stateStore, recovered.applied, (index, error) =>
      events.unappliable?.(index, error),
    );
    this.#proposals = new Proposals({
      core: this.#core,
      clock: ports.clock,
      logTimeMs: () => this.logTimeMs(),
      max: options.pendingMax,
      stages: events.stages,
    });
    this.#logWriter = new LogWriter(ports.logStore);
    this.#watchdog = new Watchdog(options.watchdog);
    this.#standings = new Standings(ports.clock, this.#currentStanding());
    const drive = <T>(deed: () => T): T | undefined => {
      if (this.#stopped) return undefined;
      const result = this.#guard(deed);
      this.#wake();
      return result;
    };
    const compact: SnapshotHand['compact'] = (index, done) => this.#compact(index, done);
    this.#snapshots = ports.snapshots(handOf(this.#core, ports.clock, drive, compact));
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
    this.#logWriter.stop();
    this.#snapshots.stop();
    this.#proposals.abandon();
    for (const settle of this.#reads.values()) settle({ status: 'lost' });
    this.#reads.clear();
    this.#appliedWaiters.abandon();
    this.#standings.stop();
  }

  get isStopped(): boolean {
    return this.#stopped;
  }

  watchStanding(wanted: (standing: Standing) => boolean, timeoutMs: number): Watch {
    return this.#standings.watch(wanted, timeoutMs);
  }

  whenStanding(wanted: (standing: Standing) => boolean, timeoutMs: number): Promise<boolean> {
    return this.#standings.watch(wanted, timeoutMs).reached;
  }

  get standing(): Standing {
    return this.#standings.now;
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

  /** Proposals that were ever appended here. */
  get proposalCount(): number {
    return this.#proposals.added;
  }

  /** Commands that were applied since the start. */
  get commandCount(): number {
    return this.#applier.commandCount;
  }

  /** Reads that wait for an index to be applied here. */
  get waitingReads(): number {
    return this.#appliedWaiters.size;
  }

  /** Resolves once no proposal waits, or after `timeoutMs`. */
  whenDecided(timeoutMs: number): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    this.#wake();
    return this.#guard(() => this.#proposals.whenEmpty(timeoutMs));
  }

  /**
   * Has a command appended where this node leads; settles when it is applied, or when it is certain that it never will be. Within one turn of
   * the event loop, once one is refused, so are those behind it.
   */
  propose(command: Uint8Array): Promise<ProposalOutcome> {
    if (this.#stopped) return Promise.resolve({ status: 'refused', why: 'stopping' });
    this.#wake();
    return this.#proposals.add(command);
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
    return this.#appliedWaiters.wait(index, this.#ports.clock, timeoutMs);
  }

  /** See `Raft.transfer`. */
  transfer(to: NodeId): ReturnType<Raft['transfer']> {
    const taken = this.#guard(() => this.#core.transfer(to));
    this.#wake();
    return taken;
  }

  /** Changes the members, where this node leads; it takes effect once it is committed, which `whenStanding` tells of. */
  change(change: Change): ChangeOutcome {
    if (this.#stopped) return { status: 'refused', why: 'stopping' };
    const taken = this.#guard(() => this.#core.change(change));
    if ('why' in taken) return { status: 'refused', ...taken };
    this.#wake();
    return { status: 'appended', index: taken.index };
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

  /** See `LogClock`. Of meaning only where this node leads. */
  logTimeMs(): number {
    return this.#logClock.nowMs(this.#core.state.term, this.#applier.logTimeMs, this.#ports.clock.nowMs());
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
    this.#snapshots.tick(nowMs);
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
    if (this.#guard(() => this.#proposals.turn(!this.#appending))) this.#wake();
    const ready = this.#core.ready();
    if (ready.messages.length > 0) this.#ports.transport.send(ready.messages);
    if (ready.append !== undefined) this.#append(ready.append);
    if (ready.committed !== undefined) this.#apply(ready.committed);
    for (const { id, index } of ready.reads) this.#settleRead(id, { status: 'confirmed', index });
    for (const id of ready.failedReads) this.#settleRead(id, { status: 'lost' });
    for (const fetch of ready.fetches) this.#fetch(fetch);
    this.#snapshots.carryOut(ready);
    if (ready.install !== undefined) this.#install(ready.install);
    for (const refusal of ready.refusals) this.#events.refused(refusal);
    this.#standings.update(this.#currentStanding(), (now, before) => this.#events.changed(now, before));
  }

  #append(append: Append): void {
    this.#appending = true;
    this.#watchdog.writeBegan(this.#ports.clock.nowMs());
    const last = append.entries.at(-1)?.index ?? 0;
    this.#events.stages?.handedOut(last);
    this.#logWriter.append(append, () => {
      if (this.#stopped) return;
      this.#appending = false;
      this.#events.stages?.durable(last);
      this.#watchdog.writeEnded();
      this.#core.durable();
      if (append.messages.length > 0) this.#ports.transport.send(append.messages);
      this.#wake();
    });
    this.#applier.readAhead(append.entries);
  }

  /** The state machine is another one from now on; what waits for an entry that it has skipped can't be told what became of that. */
  #install(snapshot: Snapshot): void {
    this.#snapshots.restore(snapshot, (applied) => {
      if (this.#stopped) return;
      if (applied === undefined) {
        this.#guard(() => this.#core.installFailed());
        this.#wake();
        return;
      }
      this.#applier.restored(applied, () => {
        if (this.#stopped) return;
        this.#guard(() => this.#core.installed());
        this.#proposals.skipped(applied.index);
        this.#appliedWaiters.applied(applied.index);
        this.#wake();
      });
    });
  }

  #compact(index: Index, done: () => void): void {
    const isFree = !this.#stopped && !this.#logWriter.isCompacting;
    const base = isFree ? this.#guard(() => this.#core.compact(index)) : undefined;
    if (base === undefined) done();
    else this.#logWriter.compact(base, done);
  }

  #apply({ from, to, entries }: Committed): void {
    this.#events.stages?.committed(to);
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
    this.#events.stages?.applied(this.appliedIndex);
    this.#snapshots.applied(this.#applier.applied, bytesOf(applied));
    for (const { entry, results } of applied) this.#proposals.applied(entry.index, entry.term, results);
    this.#appliedWaiters.applied(this.appliedIndex);
    this.#events.applied?.(applied);
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

  #currentStanding(): Standing {
    const { term, current } = this.#core.state;
    const configuration = this.#core.committedConfiguration;
    return { term, role: current.role, leader: this.#core.leader, configuration };
  }
}
