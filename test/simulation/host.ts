/**
 * A simulated machine with one node on it: the real loop, service, state machine, recovery and forwarding, on a
 * simulated clock, disk and network. A crash ends an incarnation: whatever it had started goes nowhere.
 */

import type { Configuration, NodeId } from '../../membership/configuration.js';
import type { Snapshots } from '../../server/snapshots.js';
import type { SnapshotSettings } from '../server/memory-snapshots.js';
import type { Observed } from '../../raft/invariants.js';
import type { Trace } from '../../raft/trace.js';
import { Leadership } from '../../server/leadership.js';
import { Node } from '../../server/node.js';
import type { Clock } from '../../server/ports.js';
import { ReadIndexes } from '../../server/read-indexes.js';
import { Reader } from '../../server/reader.js';
import { TICK_MS } from '../../server/raft-settings.js';
import { controlMethods } from '../../server/rpc/control-methods.js';
import type { ControlClient } from '../../server/rpc/control.js';
import type { Methods } from '../../server/rpc/dispatch.js';
import { createLeaderLink } from '../../server/rpc/forwarding.js';
import type { Roster } from '../../server/rpc/identity.js';
import { sweep } from '../../server/sweeper.js';
import { StatusReport } from '../../server/status.js';
import { handOver } from '../../server/stop.js';
import { StoreService } from '../../server/store-service.js';
import { controlPlane, rosterOf } from './control-plane.js';
import { openDisk } from './open-disk.js';
import { Disk } from './disk.js';
import type { Journal } from './journal.js';
import type { Network } from './network.js';
import type { Oracle } from './oracle.js';
import { watchProposals } from './oracle.js';
import type { Random } from './random.js';
import type { RaftSettings, SessionSettings } from './settings.js';
import type { World } from './world.js';

const REQUEST_TIMEOUT_MS = 2000;
const MAX_ELECTION_MS = 300;
const DRAIN_MS = 500;
const SILENT = { info: () => undefined, warn: () => undefined };
const PENDING_MAX = 64;

export interface Surroundings {
  readonly world: World;
  readonly network: Network;
  readonly journal: Journal;
  readonly configuration: Configuration;
  readonly settings: RaftSettings;
  readonly snapshots: SnapshotSettings;
  readonly sessions: SessionSettings;
  readonly oracle: Oracle;
  readonly hosts: ReadonlyMap<NodeId, Host>;
  /** It leads from now on. */
  readonly elected: (host: Host) => void;
  /** Something happened that must not: the run has failed, even where somebody catches the error. */
  readonly fail: (error: unknown) => void;
  readonly trace?: Trace;
}

/** What runs between a start and a crash. */
interface Incarnation {
  readonly node: Node;
  readonly service: StoreService;
  readonly methods: Methods;
  readonly snapshots: { readonly current: Snapshots | undefined };
}

export class Host {
  readonly id: NodeId;
  readonly disk: Disk;
  /** Local milliseconds that pass in one of the world's. */
  clockRate = 1;
  readonly #around: Surroundings;
  readonly #random: Random;
  #running: Incarnation | undefined;
  /** Counts starts and crashes; what belongs to an earlier one is dead. */
  #life = 0;
  #pausedUntilMs = 0;
  #sending: { readonly life: number; left: number; readonly task: () => void } | undefined;
  #clockMs = 0;
  #clockReadAtMs = 0;
  /** The last one that ran, for checks while none does. */
  lastNode: Node | undefined;
  /** That one with the disk as it is now. */
  observed: Observed | undefined;
  #touched = true;

  constructor(id: NodeId, around: Surroundings, random: Random) {
    this.id = id;
    this.#around = around;
    this.#random = random;
    this.disk = new Disk(around.world, random.fork());
  }

  get node(): Node | undefined {
    return this.#running?.node;
  }

  get service(): StoreService | undefined {
    return this.#running?.service;
  }

  get isUp(): boolean {
    return this.#running !== undefined;
  }

  /** It has lost nothing that it has not got back. */
  get isWhole(): boolean {
    return !this.disk.hasLost;
  }

  takeSnapshot(): void {
    this.arrive(({ snapshots }) => snapshots.current?.take(() => undefined));
  }

  /** Nothing runs on this machine for a while; what arrives waits. */
  pause(durationMs: number): void {
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, this.#around.world.nowMs + durationMs);
  }

  /** What is to befall it does not. */
  resume(): void {
    this.#pausedUntilMs = 0;
    this.#sending = undefined;
  }

  /** Runs `task` on this machine once it is not paused, unless the incarnation `life` is over by then. */
  #run(life: number, task: () => void): void {
    if (life !== this.#life) return;
    const { world } = this.#around;
    if (world.nowMs >= this.#pausedUntilMs) {
      this.#touched = true;
      task();
    } else world.after(this.#pausedUntilMs - world.nowMs, () => this.#run(life, task));
  }

  /** Whether anything happened on this machine since the last call. */
  takeTouched(): boolean {
    const touched = this.#touched;
    this.#touched = false;
    return touched;
  }

  /** Arrives from outside. */
  arrive(task: (running: Incarnation) => void): void {
    this.#run(this.#life, () => {
      if (this.#running !== undefined) task(this.#running);
    });
  }

  /** What its clock says. */
  localMs(): number {
    const { nowMs } = this.#around.world;
    this.#clockMs += (nowMs - this.#clockReadAtMs) * this.clockRate;
    this.#clockReadAtMs = nowMs;
    return this.#clockMs;
  }

  /** The clock runs at another rate from now on. */
  drift(rate: number): void {
    this.localMs();
    this.clockRate = rate;
  }

  #clock(life: number): Clock {
    const { world } = this.#around;
    const after = (delayMs: number, task: () => void): (() => void) =>
      world.after(delayMs / this.clockRate, () => this.#run(life, task));
    return {
      nowMs: () => this.localMs(),
      soon: (task) => void world.after(0.01, () => this.#run(life, task)),
      after,
      every: (periodMs, task) => {
        let cancel: () => void;
        const again = (): void => {
          cancel = after(periodMs, () => {
            again();
            task();
          });
        };
        again();
        return () => cancel();
      },
    };
  }

  /** Calls `task` right after the `nth` message from now on has left, before anything else is done. */
  whenSending(nth: number, task: () => void): void {
    this.#sending = { life: this.#life, left: nth, task };
  }

  #sent(life: number): void {
    const sending = this.#sending;
    if (sending === undefined || sending.life !== life || life !== this.#life) return;
    sending.left -= 1;
    if (sending.left > 0) return;
    this.#sending = undefined;
    sending.task();
  }

  /** Starts from what the disk holds. */
  async start(): Promise<void> {
    this.#life += 1;
    const life = this.#life;
    const { journal, network, hosts, configuration, fail, trace } = this.#around;
    const within = (task: () => void) => () => (life === this.#life ? this.#run(life, task) : task());
    const deferTo = (queue: (task: () => void) => void) => (task: () => void) => {
      if (life === this.#life) queue(within(task));
    };
    const opened = await openDisk(this.id, this.disk, this.#around, deferTo);
    if (life !== this.#life) return;
    const { recovered, state } = opened;
    const { seed } = recovered;
    const clock = this.#clock(life);
    const transport = {
      send: (messages: Parameters<Node['receive']>[0][]) => {
        for (const message of messages) {
          this.#checked(() => this.#around.oracle.sent(message, this, hosts.get(message.to)));
          network.send(this.id, message.to, () =>
            hosts.get(message.to)?.arrive(({ node }) => node.receive(message)),
          );
          this.#sent(life);
        }
      },
    };
    const node = new Node(
      {
        clock,
        transport: { send: (messages) => transport.send([...messages]) },
        logStore: opened.logStore,
        stateStore: state,
        snapshots: opened.snapshotting,
      },
      {
        raft: {
          ...this.#around.settings,
          id: this.id,
          random: () => this.#random.next(),
          ...(trace && { trace }),
        },
        tickMs: TICK_MS,
        pendingMax: PENDING_MAX,
        watchdog: { diskStallTimeoutMs: 1000, loopStallTimeoutMs: 1000 },
      },
      recovered,
      {
        changed: ({ role, term, leader }) => {
          journal.note(`${this.id} ${role} in term ${term}, leader ${leader ?? '-'}`);
          if (role === 'leader') this.#around.elected(this);
        },
        refused: (what) => fail(new Error(`${this.id} refused a message of a correct node: ${what}`)),
        unfit: (why) => journal.note(`${this.id} ${why ?? 'is fit again'}`),
        broken: fail,
      },
    );
    watchProposals(node, fail);
    const running = { ...this.#assemble(node, clock, state, configuration), snapshots: opened.snapshots };
    this.lastNode = node;
    this.observed = { state: node.state, disk: this.disk.durable };
    await new Promise<void>((resolve) => node.start(resolve));
    if (life !== this.#life) return;
    this.#running = running;
    journal.note(
      `${this.id} is up, term ${seed.hardState.term}, log ${seed.log.base.index + 1} to ${seed.log.lastIndex}, applied ${seed.log.applied}`,
    );
  }

  #assemble(
    node: Node,
    clock: Clock,
    state: Parameters<Disk['guard']>[0],
    configuration: Configuration,
  ): Omit<Incarnation, 'snapshots'> {
    const roster = rosterOf(this.id, configuration);
    const leadership = new Leadership(node, { leaderWaitMs: 1200, retryMs: 50 });
    const link = createLeaderLink(this.#control(roster, clock), clock);
    const indexes = (lease: boolean): ReadIndexes =>
      new ReadIndexes(node, clock, leadership, link, { lease, timeoutMs: REQUEST_TIMEOUT_MS });
    const report = new StatusReport(node, clock, {
      addresses: { raft: this.id, rpc: this.id, http: this.id },
      cluster: roster.clusterName,
      version: '0',
      tickMs: TICK_MS,
      unreachableAfterMs: 300,
    });
    const service = new StoreService({
      node,
      logStore: { read: () => undefined },
      clock,
      leadership,
      link,
      readIndexes: indexes(false),
      leaseIndexes: indexes(true),
      reader: new Reader(state, clock, node),
      report,
      requestTimeoutMs: REQUEST_TIMEOUT_MS,
      sessions: this.#around.sessions,
    });
    sweep(node, state, clock, { sessionsEveryMs: 700 });
    const methods = controlMethods({
      roster,
      clock,
      node: () => node,
      status: () => report.cluster(),
      valueBytesMax: 1024,
      requestTimeoutMs: REQUEST_TIMEOUT_MS,
    });
    return { node, service, methods };
  }

  #control(roster: Roster, clock: Clock): Pick<ControlClient, 'call'> {
    const { network, hosts, world } = this.#around;
    const life = this.#life;
    return controlPlane({
      id: this.id,
      network,
      roster,
      clock,
      after: (delayMs, task) => void world.after(delayMs, () => this.#run(life, task)),
      run: (task) => this.#run(life, task),
      hostOf: (id) => hosts.get(id),
    });
  }

  /** A breach of the oracle's is final, whoever calls. */
  #checked(check: () => void): void {
    try {
      check();
    } catch (error) {
      this.#around.fail(error);
    }
  }

  /** As `server/stop.ts` does it: leadership is handed over, what is in flight is decided, then the process ends. */
  async leave(): Promise<void> {
    const running = this.#running;
    if (running === undefined) return;
    const life = this.#life;
    const { node, service } = running;
    service.leave();
    await handOver({ node, maxElectionMs: MAX_ELECTION_MS, logger: SILENT });
    service.stop();
    await node.whenDecided(DRAIN_MS);
    if (life === this.#life) this.crash();
  }

  /** The process is killed. */
  crash(): void {
    this.#touched = true;
    this.#sending = undefined;
    this.#life += 1;
    this.#running?.node.stop();
    this.#running = undefined;
    this.#pausedUntilMs = 0;
    this.disk.crash();
    this.#checked(() => this.#around.oracle.checkState(this.id, this.disk));
  }
}
