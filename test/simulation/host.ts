/**
 * A simulated machine with one node on it: the real loop, service, state machine, recovery and forwarding, on a
 * simulated clock, disk and network. A crash ends an incarnation: whatever it had started goes nowhere.
 */

import type { NodeId } from '../../membership/configuration.js';
import { memberOf } from '../../membership/configuration.js';
import type { Observed } from '../../raft/invariants.js';
import type { Message } from '../../raft/messages.js';
import { isResponse } from '../../raft/messages.js';
import type { Trace } from '../../raft/trace.js';
import { Node } from '../../server/node.js';
import type { Clock, Transport } from '../../server/ports.js';
import { TICK_MS } from '../../server/raft-settings.js';
import type { Identity, Roster } from '../../server/rpc/identity.js';
import type { Snapshots } from '../../server/snapshots.js';
import { handOver } from '../../server/stop.js';
import type { StoreService } from '../../server/store-service.js';
import type { SnapshotSettings } from '../server/memory-snapshots.js';
import type { ControlPlane } from './control-plane.js';
import { controlPlane, rosterOf } from './control-plane.js';
import { Disk } from './disk.js';
import { clockOf } from './host-clock.js';
import { join } from './joiner.js';
import type { Journal } from './journal.js';
import { describeMembers, incarnationOf, isHeard } from './members-seen.js';
import type { Network } from './network.js';
import { openDisk } from './open-disk.js';
import type { Opened } from './open-disk.js';
import type { Oracle } from './oracle.js';
import { watchProposals } from './oracle.js';
import type { Process } from './process.js';
import { assemble } from './process.js';
import type { Random } from './random.js';
import type { RaftSettings, SessionSettings } from './settings.js';
import type { World } from './world.js';

const MAX_ELECTION_MS = 300;
const DRAIN_MS = 500;
const SILENT = { info: () => undefined, warn: () => undefined };
const PENDING_MAX = 64;
const JOIN_RETRY_MS = 100;

export interface Surroundings {
  readonly world: World;
  readonly network: Network;
  readonly journal: Journal;
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
interface Incarnation extends Process {
  readonly node: Node;
  readonly roster: Roster;
  readonly snapshots: { readonly current: Snapshots | undefined };
  /** The disk of whoever called last under an id: answers go there. */
  readonly callers: Map<NodeId, string>;
}

/** Whether its process is to run, and how it comes into the cluster where its disk is empty. */
type Place = 'outside' | 'member' | 'returning';

export class Host {
  readonly id: NodeId;
  disk: Disk;
  place: Place;
  /** Its removal was asked for. */
  isLeaving = false;
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
  #isJoining = false;
  #isStarting = false;
  #disks = 1;

  constructor(id: NodeId, around: Surroundings, random: Random, place: Place) {
    this.id = id;
    this.place = place;
    this.#around = around;
    this.#random = random;
    this.disk = new Disk(around.world, random.fork(), incarnationOf(id));
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

  /** It runs, and waits to be taken in. */
  get isJoining(): boolean {
    return this.#isJoining;
  }

  /** Its process reads what the disk holds. */
  get isStarting(): boolean {
    return this.#isStarting;
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
    return {
      ...clockOf(
        (delayMs, task) => this.#around.world.after(delayMs, () => this.#run(life, task)),
        () => this.clockRate,
      ),
      nowMs: () => this.localMs(),
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

  /** Another disk is in the place of the old one, and empty. Returns what was seen of the old one at last. */
  replaceDisk(): Observed | undefined {
    const { observed } = this;
    this.#disks += 1;
    this.disk = new Disk(this.#around.world, this.#random.fork(), `${incarnationOf(this.id)}-${this.#disks}`);
    this.isLeaving = false;
    this.lastNode = undefined;
    this.observed = undefined;
    return observed;
  }

  /** Starts from what the disk holds; where it holds nothing, the node waits to be taken in. */
  async start(): Promise<void> {
    this.#life += 1;
    this.#isStarting = true;
    const life = this.#life;
    const { id, disk } = this;
    const self = { id, incarnation: disk.incarnation };
    const clock = this.#clock(life);
    const roster = rosterOf(self, () => (life === this.#life ? this.node : undefined));
    const control = this.#control(roster, clock);
    const within = (task: () => void) => () => (life === this.#life ? this.#run(life, task) : task());
    const deferTo = (queue: (task: () => void) => void) => (task: () => void) => {
      if (life === this.#life) queue(within(task));
    };
    const around = { ...this.#around, join: () => this.#join(self, control, clock), timers: clock };
    const opened = await openDisk(id, disk, around, deferTo);
    if (life !== this.#life) return;
    this.#isJoining = false;
    if (opened === undefined) this.#depart('is not taken in');
    else await this.#begin(life, clock, roster, control, opened);
  }

  #join(self: Identity, control: ControlPlane, clock: Clock): ReturnType<typeof join> {
    const { journal, hosts } = this.#around;
    this.#isJoining = true;
    journal.note(`${self.id} asks to be taken in, with ${self.incarnation}`);
    const pause = (): Promise<void> => new Promise((resolve) => void clock.after(JOIN_RETRY_MS, resolve));
    const places = [...hosts.keys()].filter((place) => place !== self.id);
    return join({ self, returning: this.place === 'returning', control, places, pause });
  }

  async #begin(
    life: number,
    clock: Clock,
    roster: Roster,
    control: ControlPlane,
    opened: Opened,
  ): Promise<void> {
    const { journal, fail, trace, sessions } = this.#around;
    const { recovered, state } = opened;
    const { seed } = recovered;
    const callers = new Map<NodeId, string>();
    const node: Node = new Node(
      {
        clock,
        transport: this.#transport(life, callers),
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
        changed: ({ role, term, leader, configuration }, before) => {
          journal.note(`${this.id} ${role} in term ${term}, leader ${leader ?? '-'}`);
          if (configuration !== before.configuration)
            journal.note(`${this.id} knows of members ${describeMembers(configuration)}`);
          if (role === 'leader') this.#around.elected(this);
        },
        refused: (what) => fail(new Error(`${this.id} refused a message of a correct node: ${what}`)),
        unfit: (why) => journal.note(`${this.id} ${why ?? 'is fit again'}`),
        broken: fail,
      },
    );
    watchProposals(node, fail);
    const departed = (): void => this.#run(life, () => this.#depart('was removed, and stops'));
    const process = assemble({ node, clock, roster, control, state, sessions, departed });
    this.lastNode = node;
    const { incarnation, durable } = this.disk;
    this.observed = { state: node.state, incarnation, disk: durable };
    await new Promise<void>((resolve) => node.start(resolve));
    if (life !== this.#life) return;
    this.#isStarting = false;
    this.#running = { ...process, node, roster, callers, snapshots: opened.snapshots };
    journal.note(
      `${this.id} is up, term ${seed.hardState.term}, log ${seed.log.base.index + 1} to ${seed.log.lastIndex}, applied ${seed.log.applied}`,
    );
  }

  #transport(life: number, callers: Map<NodeId, string>): Transport {
    return {
      send: (messages) => {
        for (const message of messages) {
          this.#send(message, callers);
          this.#sent(life);
        }
      },
    };
  }

  /** What is sent to a disk reaches no other one, and counts as sent by the disk that it came from (`server/rpc/peer-link.ts`). */
  #send(message: Message, callers: ReadonlyMap<NodeId, string>): void {
    const { hosts, network, oracle } = this.#around;
    const { id, disk, lastNode } = this;
    const target = hosts.get(message.to);
    this.#checked(() => oracle.sent(message, this, target));
    const isAnswer = isResponse(message);
    const known = lastNode && memberOf(lastNode.configuration, message.to)?.incarnation;
    const incarnation = isAnswer ? callers.get(message.to) : known;
    if (target === undefined || incarnation === undefined) return;
    const from = { id, incarnation: disk.incarnation };
    network.send(id, message.to, () =>
      target.arrive((running) => {
        if (target.disk.incarnation === incarnation && isHeard(from, isAnswer, running.roster)) {
          if (!isAnswer) running.callers.set(id, from.incarnation);
          running.node.receive(message);
        }
      }),
    );
  }

  /** It belongs to the cluster no more: its process ends for good. */
  #depart(why: string): void {
    this.#around.journal.note(`${this.id} ${why}`);
    this.place = 'outside';
    this.crash();
  }

  #control(roster: Roster, clock: Clock): ControlPlane {
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
    this.#isJoining = false;
    this.#isStarting = false;
    this.#life += 1;
    this.#running?.node.stop();
    this.#running = undefined;
    this.#pausedUntilMs = 0;
    this.disk.crash();
    this.#checked(() => this.#around.oracle.checkState(this.id, this.disk));
  }
}
