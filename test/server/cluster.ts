/**
 * A cluster in one process: real nodes and services on stores in memory, with a network that the test cuts and a clock
 * of its own. What is forwarded goes through the real methods of the control plane.
 */

import type { Command } from '../../kv/command.js';
import type { Configuration, NodeId } from '../../membership/configuration.js';
import { memberOf } from '../../membership/configuration.js';
import { memoryLogDisk, openMemoryLogStore } from '../../persistence/memory/log-store.js';
import type { MemoryLogDisk } from '../../persistence/memory/log-store.js';
import { memoryStateDisk, openMemoryStateStore } from '../../persistence/memory/state-store.js';
import type { MemoryStateDisk } from '../../persistence/memory/state-store.js';
import type { StateStore } from '../../persistence/state-store.js';
import type { LogStore } from '../../persistence/log-store.js';
import { ClusterInvariants } from '../../raft/invariants.js';
import type { RaftOptions } from '../../raft/state.js';
import { firstBatch, firstConfiguration } from '../../server/bootstrap.js';
import { Leadership } from '../../server/leadership.js';
import { Members } from '../../server/members/members.js';
import type { Newcomer } from '../../server/members/members.js';
import { Node } from '../../server/node.js';
import { ReadIndexes } from '../../server/read-indexes.js';
import { Reader } from '../../server/reader.js';
import { isFresh } from '../../server/recovery.js';
import type { MemorySnapshotDisk } from '../../snapshot/memory/directory.js';
import { memorySnapshotDisk } from '../../snapshot/memory/directory.js';

import type { SnapshotSettings } from './memory-snapshots.js';
import {
  RARE_SNAPSHOTS,
  bindSnapshots,
  diskOf,
  openMemorySnapshots,
  recoverFrom,
} from './memory-snapshots.js';
import type { ControlClient } from '../../server/rpc/control.js';
import { controlMethods } from '../../server/rpc/control-methods.js';
import type { Methods } from '../../server/rpc/dispatch.js';
import { callOver } from './call-over.js';
import { promoteLearners } from '../../server/members/promoter.js';
import { membershipMethods } from '../../server/rpc/membership-methods.js';
import { createLeaderLink } from '../../server/rpc/forwarding.js';
import type { Roster } from '../../server/rpc/identity.js';
import { envelopeTo } from '../../server/rpc/identity.js';
import { StatusReport } from '../../server/status.js';
import { StoreService } from '../../server/store-service.js';
import { sweep } from '../../server/sweeper.js';
import { Verification } from '../../server/verification.js';
import { Network, raftOptions } from './network.js';
import type { VirtualClock } from './virtual-clock.js';
import { virtualClock } from './virtual-clock.js';

export const REQUEST_TIMEOUT_MS = 5000;
/** Four of the longest election timeouts, as a server has it. */
export const LEADER_WAIT_MS = 1200;
const TICK_MS = 10;
const LATENCY_MS = 1;

export interface TestNode {
  readonly id: NodeId;
  readonly node: Node;
  readonly service: StoreService;
  readonly logStore: LogStore;
  readonly stateStore: StateStore;
  /** Messages that the core refused as those of no correct peer. */
  readonly refusals: string[];
  readonly stateDisk: MemoryStateDisk;
  /** What verification has found; a node that must not use its state any more is to be stopped by the test. */
  readonly found: string[];
}

interface Machine {
  readonly id: NodeId;
  readonly logDisk: MemoryLogDisk;
  readonly stateDisk: MemoryStateDisk;
  readonly snapshotDisk: MemorySnapshotDisk;
  running: TestNode | undefined;
  methods: Methods;
}

export interface ClusterOptions {
  readonly size?: number;
  readonly pendingMax?: number;
  readonly snapshots?: SnapshotSettings;
  readonly raft?: Partial<RaftOptions>;
  /** How long an operation of a node's state store takes, in ms; may change while it runs. */
  readonly stateDelaysMs?: Map<NodeId, number>;
  /** What is over is looked for, as a server does. */
  readonly sweeping?: boolean;
  /** The states are compared, as a server does. */
  readonly verifying?: boolean;
  /** Who listens where a newcomer should be. */
  readonly greet?: (id: NodeId, raft: string) => Promise<Newcomer>;
  /** Whether a node has room for what a command stores; by default there is always room. */
  readonly refuses?: (id: NodeId, command: Command) => boolean;
}

export interface Cluster {
  readonly clock: VirtualClock;
  readonly nodes: readonly TestNode[];
  node(id: NodeId): TestNode;
  /** Waits for a leader that every node in `among` follows; all by default. */
  leader(among?: readonly TestNode[]): Promise<TestNode>;
  followers(): TestNode[];
  /** Nothing passes between the groups; nodes in none are alone. */
  partition(...groups: (readonly TestNode[])[]): void;
  /** As `partition`, for consensus alone: the control plane goes on. */
  partitionConsensus(...groups: (readonly TestNode[])[]): void;
  heal(): void;
  /** Whether a call over a cut link finds that out at once, or waits for its answer in vain. */
  cutIs: 'refused' | 'silent';
  /** Ends a node as `stopServer` does at last: the stores close in the same turn. */
  stop(id: NodeId): Promise<void>;
  start(id: NodeId): Promise<TestNode>;
}

export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const ids = Array.from({ length: options.size ?? 3 }, (_, at) => `n${at + 1}`);
  const machines = new Map<NodeId, Machine>(
    ids.map((id) => [
      id,
      {
        id,
        logDisk: memoryLogDisk(),
        stateDisk: memoryStateDisk(),
        snapshotDisk: memorySnapshotDisk(),
        running: undefined,
        methods: {},
      },
    ]),
  );
  const machine = (id: NodeId): Machine => machines.get(id)!;
  const running = (): TestNode[] => [...machines.values()].flatMap(({ running: node }) => node ?? []);
  const restarted = new Set<NodeId>();
  const invariants = new ClusterInvariants();
  const clock = virtualClock(() => {
    const observed = running().map(({ id, node }) => ({
      state: node.state,
      incarnation: `disk-of-${id}`,
      disk: diskOf(machine(id).logDisk),
    }));
    // Only with all of them up is it known what a majority holds.
    if (observed.length === ids.length) invariants.observe(observed, new Set(restarted));
    if (observed.length === ids.length) restarted.clear();
  });
  const network = new Network();
  const first = await firstOf(ids);

  const cluster: Cluster = {
    clock,
    get nodes() {
      return running();
    },
    node: (id) => machine(id).running!,
    async leader(among) {
      const leaderOf = (): TestNode | undefined => {
        const wanted = among ?? running();
        const leader = wanted.find(({ node }) => node.standing.role === 'leader');
        const follow = wanted.every(({ node }) => node.standing.leader === leader?.id);
        return follow ? leader : undefined;
      };
      await clock.when(() => leaderOf() !== undefined, 'a leader that all follow');
      return leaderOf()!;
    },
    followers: () => running().filter(({ node }) => node.standing.role !== 'leader'),
    partition: (...groups) => network.set(groups.map((group) => group.map(({ id }) => id))),
    partitionConsensus: (...groups) =>
      network.set(
        undefined,
        groups.map((group) => group.map(({ id }) => id)),
      ),
    heal: () => network.set(undefined),
    cutIs: 'silent',
    async stop(id) {
      const { node, logStore, stateStore } = machine(id).running!;
      node.stop();
      const closed = Promise.all([logStore.close(), stateStore.close()]);
      machine(id).running = undefined;
      await clock.until(closed, `the stores of ${id} close`);
    },
    async start(id) {
      restarted.add(id);
      await boot(machine(id));
      return machine(id).running!;
    },
  };

  const control = (from: NodeId, roster: Roster): Pick<ControlClient, 'call'> => ({
    call: (id, method, params, timeoutMs) =>
      callOver({ clock, network, cluster, from }, timeoutMs, id, async () => {
        const incarnation = memberOf(first, id)!.incarnation;
        const sent: unknown = JSON.parse(
          JSON.stringify({ ...envelopeTo(roster, { id, incarnation }), ...params }),
        );
        const answer = await machine(id).methods[method]!(sent, {});
        return JSON.parse(JSON.stringify(answer)) as unknown;
      }),
  });

  async function boot(on: Machine): Promise<void> {
    const seed = ids.indexOf(on.id) + 1;
    on.running = await bootNode(on, { options, clock, network, machine, first, seed, control });
  }

  for (const id of ids) await boot(machine(id));
  return cluster;
}

async function firstOf(ids: readonly NodeId[]): Promise<Configuration> {
  const incarnation = (id: NodeId): string => `disk-of-${id}`;
  const peers = ids.map((id) => ({ id, raft: `${id}:1`, rpc: `${id}:2`, http: `${id}:3` }));
  const first = await firstConfiguration({
    self: { id: ids[0]!, incarnation: incarnation(ids[0]!) },
    peers,
    greet: ({ id }) => Promise.resolve({ incarnation: incarnation(id), clusterId: null }),
  });
  return first!;
}

interface Boot {
  readonly options: ClusterOptions;
  readonly clock: VirtualClock;
  readonly network: Network;
  readonly machine: (id: NodeId) => Machine;
  readonly first: Configuration;
  readonly seed: number;
  readonly control: (from: NodeId, roster: Roster) => Pick<ControlClient, 'call'>;
}

async function bootNode(on: Machine, boot: Boot): Promise<TestNode> {
  const { options, clock, network, machine, first, seed, control } = boot;
  const { id, logDisk, stateDisk } = on;
  const defer = (task: () => void): void => clock.soon(task);
  const deferState = (task: () => void): void => void clock.after(options.stateDelaysMs?.get(id) ?? 0, task);
  if (logDisk.hardState === undefined) {
    const { entries, hardState } = firstBatch(first);
    logDisk.entries.push(...entries);
    logDisk.hardState = hardState;
  }
  const { store: logStore, recovered } = openMemoryLogStore({ disk: logDisk, tailBytesMax: 65_536, defer });
  const stateStore = openMemoryStateStore({ disk: stateDisk, defer: deferState });
  if (isFresh(recovered, stateStore.recovered)) throw new Error('the disk is empty');
  const snapshots = await clock.until(
    openMemorySnapshots(on.snapshotDisk, defer),
    `${id} opens its snapshots`,
  );
  const remains = {
    dataDir: `/${id}`,
    logStore,
    log: recovered,
    stateStore,
    applied: stateStore.recovered,
    assessment: undefined,
  };
  const start = await clock.until(recoverFrom(remains, snapshots), `${id} recovers`);
  const refusals: string[] = [];
  const found: string[] = [];
  const verifying: { current?: Verification } = {};
  const transport = {
    send(messages: Parameters<Node['receive']>[0][]): void {
      for (const message of messages) {
        const { from, to } = message;
        clock.after(LATENCY_MS, () => {
          if (network.connects(from, to, true)) machine(to).running?.node.receive(message);
        });
      }
    },
  };
  const node = new Node(
    {
      clock,
      transport: { send: (messages) => transport.send([...messages]) },
      logStore,
      stateStore,
      snapshots: bindSnapshots(snapshots, stateStore, start.log, options.snapshots ?? RARE_SNAPSHOTS),
    },
    {
      raft: raftOptions(id, seed, options.raft),
      tickMs: TICK_MS,
      pendingMax: options.pendingMax ?? 1000,
      watchdog: { diskStallTimeoutMs: 1000, loopStallTimeoutMs: 1000 },
    },
    start,
    {
      changed: () => undefined,
      unfit: () => undefined,
      refused: (what) => void refusals.push(what),
      applied: (applied) => verifying.current?.applied(applied),
      broken(error) {
        throw error;
      },
    },
  );
  const roster: Roster = {
    clusterName: 'test',
    self: () => ({ id, incarnation: memberOf(first, id)!.incarnation }),
    clusterId: () => first.clusterId,
    peerIncarnation: (peer) => memberOf(first, peer)?.incarnation,
    firstVoters: () => undefined,
    isReplaced: () => false,
    introduction: () => ({
      addresses: { raft: `${id}:1`, rpc: `${id}:2`, http: `${id}:3` },
      version: '0.0.0',
    }),
    met: () => undefined,
  };
  const link = createLeaderLink(control(id, roster), clock);
  const leadership = new Leadership(node, { leaderWaitMs: LEADER_WAIT_MS, retryMs: 50 });
  const indexes = (lease: boolean): ReadIndexes =>
    new ReadIndexes(node, clock, leadership, link, { lease, timeoutMs: REQUEST_TIMEOUT_MS });
  const members = new Members({
    node,
    tickMs: TICK_MS,
    greet: options.greet ?? (() => Promise.reject(new Error('nobody listens there'))),
  });
  const report = new StatusReport(node, clock, {
    addresses: { raft: `${id}:1`, rpc: `${id}:2`, http: `${id}:3` },
    cluster: 'test',
    version: '0.0.0',
    tickMs: TICK_MS,
    unreachableAfterMs: 300,
    versionOf: () => undefined,
    bytesBetween: () => 0,
    underWay: () => members.underWay(),
  });
  const space = { refuses: (command: Command) => options.refuses?.(id, command) ?? false };
  const service = new StoreService({
    node,
    space,
    logStore,
    clock,
    leadership,
    link,
    readIndexes: indexes(false),
    leaseIndexes: indexes(true),
    reader: new Reader(stateStore, clock, node),
    report,
    members,
    requestTimeoutMs: REQUEST_TIMEOUT_MS,
    sessions: { ttlMs: 600_000, max: 10 },
  });
  on.methods = {
    ...membershipMethods({
      roster,
      clock,
      node: () => on.running?.node,
      members: () => members,
      requestTimeoutMs: REQUEST_TIMEOUT_MS,
    }),
    ...controlMethods({
      roster,
      clock,
      node: () => on.running?.node,
      space: () => space,
      status: () => service.clusterStatus(),
      valueBytesMax: 1000,
      requestTimeoutMs: REQUEST_TIMEOUT_MS,
    }),
  };
  promoteLearners(node, clock, 50);
  verifying.current = new Verification({
    node,
    clock,
    store: stateStore,
    attest: (command) => service.attest(command),
    events: {
      differ: (nodes) => void found.push(`others differ: ${nodes.join()}`),
      unusable: ({ kind }) => void found.push(kind),
    },
  });
  await clock.until(new Promise<void>((resolve) => node.start(resolve)), `${id} starts`);
  if (options.sweeping === true) sweep(node, stateStore, clock);
  if (options.verifying === true) verifying.current.start();
  return { id, node, service, logStore, stateStore, stateDisk, refusals, found };
}
