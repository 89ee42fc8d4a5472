/**
 * A simulated machine with one node on it: the real loop, service, state machine, recovery and forwarding, on a
 * simulated clock, disk and network. A crash ends an incarnation: whatever it had started goes nowhere.
 */

import type { Configuration, NodeId } from '../../membership/configuration.js';
import { memberOf } from '../../membership/configuration.js';
import { openMemoryLogStore } from '../../persistence/memory/log-store.js';
import { openMemoryStateStore } from '../../persistence/memory/state-store.js';
import type { Observed } from '../../raft/invariants.js';
import type { Trace } from '../../raft/trace.js';
import { Leadership } from '../../server/leadership.js';
import { Node } from '../../server/node.js';
import type { Clock } from '../../server/ports.js';
import { ReadIndexes } from '../../server/read-indexes.js';
import { Reader } from '../../server/reader.js';
import { TICK_MS } from '../../server/raft-settings.js';
import { recoverSeed } from '../../server/recovery.js';
import { controlMethods } from '../../server/rpc/control-methods.js';
import type { ControlClient } from '../../server/rpc/control.js';
import type { Methods } from '../../server/rpc/dispatch.js';
import { ChannelError } from '../../server/rpc/errors.js';
import { createLeaderLink } from '../../server/rpc/forwarding.js';
import type { Roster } from '../../server/rpc/identity.js';
import { envelopeTo } from '../../server/rpc/identity.js';
import { sweep } from '../../server/sweeper.js';
import { StatusReport } from '../../server/status.js';
import { handOver } from '../../server/stop.js';
import { StoreService } from '../../server/store-service.js';
import { Disk } from './disk.js';
import type { Journal } from './journal.js';
import type { Network } from './network.js';
import type { Oracle } from './oracle.js';
import { checkState, watchProposals } from './oracle.js';
import type { Random } from './random.js';
import type { RaftSettings } from './settings.js';
import type { World } from './world.js';

const REQUEST_TIMEOUT_MS = 2000;
const MAX_ELECTION_MS = 300;
const DRAIN_MS = 500;
const SILENT = { info: () => undefined, warn: () => undefined };
const PENDING_MAX = 64;
const SESSION_TTL_MS = 2000;
const SESSIONS_MAX = 8;
const TAIL_BYTES_MAX = 2048;

export interface Surroundings {
  readonly world: World;
  readonly network: Network;
  readonly journal: Journal;
  readonly configuration: Configuration;
  readonly settings: RaftSettings;
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
    const log = openMemoryLogStore({
      disk: this.disk.log,
      tailBytesMax: TAIL_BYTES_MAX,
      defer: deferTo((task) => this.disk.deferLog(task)),
    });
    const state = this.disk.guard(
      openMemoryStateStore({ disk: this.disk.state, defer: deferTo((task) => this.disk.deferState(task)) }),
    );
    const seed = await recoverSeed(this.id, log.store, log.recovered, state.recovered);
    if (life !== this.#life) return;
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
        logStore: log.store,
        stateStore: state,
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
      seed,
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
    const running = this.#assemble(node, clock, state, configuration);
    this.lastNode = node;
    this.observed = { state: node.state, disk: this.disk.durable };
    await new Promise<void>((resolve) => node.start(resolve));
    if (life !== this.#life) return;
    this.#running = running;
    journal.note(
      `${this.id} is up, term ${seed.hardState.term}, log to ${seed.log.lastIndex}, applied ${seed.log.applied}`,
    );
  }

  #assemble(
    node: Node,
    clock: Clock,
    state: Parameters<Disk['guard']>[0],
    configuration: Configuration,
  ): Incarnation {
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
      sessions: { ttlMs: SESSION_TTL_MS, max: SESSIONS_MAX },
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

  /** Calls between control planes: the real methods at both ends, a connection that may break between them. */
  #control(roster: Roster, clock: Clock): Pick<ControlClient, 'call'> {
    const { network, hosts } = this.#around;
    return {
      call: (to, method, params, timeoutMs) =>
        new Promise((resolve, reject) => {
          const cancel = clock.after(timeoutMs, () =>
            reject(new ChannelError('timed-out', `${to}: no answer`)),
          );
          const settle = (finish: () => void): void => {
            cancel();
            finish();
          };
          const lost = (): void =>
            settle(() => reject(new ChannelError('lost', `${to}: the connection broke`)));
          const target = hosts.get(to);
          if (target === undefined || !target.isUp || network.isCut(this.id, to)) {
            settle(() => reject(new ChannelError('never-sent', `${to} is not reached`)));
            return;
          }
          const full = { ...envelopeTo(roster, { id: to, incarnation: incarnationOf(to) }), ...params };
          const life = this.#life;
          const answer = (finish: () => void): void => {
            const sent = network.sendOnce(to, this.id, () => this.#run(life, () => settle(finish)));
            if (!sent) network.sendOnce(this.id, this.id, () => this.#run(life, lost));
          };
          const sent = network.sendOnce(this.id, to, () =>
            target.arrive(({ methods }) => {
              const call = methods[method];
              Promise.resolve()
                .then(() => call?.(full, {}))
                .then(
                  (result) => answer(() => resolve(result)),
                  (error: unknown) =>
                    answer(() => reject(error instanceof Error ? error : new Error(String(error)))),
                );
            }),
          );
          if (!sent) this.#around.world.after(1, () => this.#run(life, lost));
        }),
    };
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
    this.#checked(() => checkState(this.id, this.disk));
  }
}

export function incarnationOf(id: NodeId): string {
  return `disk-of-${id}`;
}

function rosterOf(id: NodeId, configuration: Configuration): Roster {
  return {
    clusterName: 'simulated',
    self: () => ({ id, incarnation: incarnationOf(id) }),
    clusterId: () => configuration.clusterId,
    peerIncarnation: (peer) => memberOf(configuration, peer)?.incarnation,
    firstVoters: () => undefined,
    isReplaced: () => false,
  };
}
