/** A whole simulated cluster, watched by every invariant after every event. */

import type { Configuration, NodeId } from '../../membership/configuration.js';
import { configuration, electorate, memberOf } from '../../membership/configuration.js';
import { isJoint } from '../../membership/change.js';
import { majority } from '../../membership/quorum.js';
import { ClusterInvariants } from '../../raft/invariants.js';
import type { Trace } from '../../raft/trace.js';
import { traceLine } from '../../raft/trace.js';
import { firstBatch } from '../../server/bootstrap.js';
import { Host } from './host.js';
import { incarnationOf } from './members-seen.js';
import type { SnapshotSettings } from '../server/memory-snapshots.js';
import { RARE_SNAPSHOTS } from '../server/memory-snapshots.js';
import { Journal } from './journal.js';
import { Network } from './network.js';
import type { Observed } from '../../raft/invariants.js';
import { Oracle } from './oracle.js';
import type { Random } from './random.js';
import type { RaftSettings, SessionSettings } from './settings.js';
import { RAFT, SESSIONS } from './settings.js';
import type { StepLimits } from './world.js';
import { World, settle } from './world.js';

export interface ClusterOptions {
  /** Takes every line of the trace, see `raft/trace.ts`; no message is doubled then. */
  readonly traceTo?: (line: string) => void;
  readonly settings?: RaftSettings;
  readonly snapshots?: SnapshotSettings;
  readonly sessions?: SessionSettings;
  /** Machines that are no members at first. */
  readonly spares?: number;
  /** Default: it may go on for ever. */
  readonly limits?: StepLimits;
}

export class SimulatedCluster {
  readonly world: World;
  readonly journal = new Journal(() => this.world.nowMs);
  readonly oracle = new Oracle();
  readonly network: Network;
  readonly hostList: readonly Host[];
  readonly #hosts = new Map<NodeId, Host>();
  readonly #invariants = new ClusterInvariants();
  readonly #appliedSeen = new Map<NodeId, number>();
  readonly #restarted = new Set<NodeId>();
  /** Disks that others have taken the place of, as they were seen at last. */
  readonly #replaced: Observed[] = [];
  #hasBegun = false;
  #whenElected: ((host: Host) => void) | undefined;
  #whenJoint: ((host: Host) => void) | undefined;
  /** Requests to change the members that have no answer yet. */
  changesAsked = 0;
  #failure: { readonly error: unknown } | undefined;

  constructor(nodes: number, random: Random, options: ClusterOptions = {}) {
    const { traceTo, settings = RAFT, snapshots = RARE_SNAPSHOTS, sessions = SESSIONS, spares = 0 } = options;
    this.world = new World(options.limits);
    this.network = new Network(this.world, random.fork(), traceTo === undefined);
    const first = firstOf(nodes);
    const places = first.members.map(({ id }) => id);
    const trace: Trace | undefined = traceTo && ((event) => traceTo(traceLine(event, places)));
    const around = {
      world: this.world,
      network: this.network,
      journal: this.journal,
      settings,
      snapshots,
      sessions,
      oracle: this.oracle,
      hosts: this.#hosts,
      elected: (host: Host) => {
        const task = this.#whenElected;
        this.#whenElected = undefined;
        task?.(host);
      },
      fail: (error: unknown) => this.fail(error),
      ...(trace && { trace }),
    };
    const { entries, hardState } = firstBatch(first);
    for (const { id } of first.members) {
      const host = new Host(id, around, random.fork(), 'member');
      host.disk.log.entries.push(...entries);
      host.disk.log.hardState = hardState;
      host.disk.watermark.mark = { term: 1, vote: undefined, last: { index: 1, term: 1 } };
      this.#hosts.set(id, host);
      this.restart(host);
    }
    for (let at = nodes + 1; at <= nodes + spares; at += 1) {
      const id = `n${at}`;
      this.#hosts.set(id, new Host(id, around, random.fork(), 'outside'));
    }
    this.hostList = [...this.#hosts.values()];
  }

  /** Calls `task` when a node becomes the leader next, unless all is healed before. */
  whenElected(task: (host: Host) => void): void {
    this.#whenElected = task;
  }

  /** Calls `task` when a node next has a joint configuration that it did not have before, unless all is healed before. */
  whenJoint(task: (host: Host) => void): void {
    this.#whenJoint = task;
  }

  /**
   * Whether all that is committed survives the loss of what `victim` has, and the members can still be changed: in every configuration that a
   * node knows, now and after any change that is under way, majorities are left that have lost nothing.
   */
  canSpare(victim: Host): boolean {
    const stays = (id: NodeId, incarnation: string | undefined): boolean => {
      const host = this.#hosts.get(id);
      if (host === undefined || host === victim || host.isLeaving) return false;
      return host.disk.incarnation === incarnation && host.isWhole;
    };
    const known = this.hostList.flatMap(({ place, lastNode }) =>
      place === 'outside' ? [] : (lastNode?.state.configurations ?? []),
    );
    return known.every(({ configuration: one }) =>
      [...electorate(one), one.members.map(({ id }) => id)].every(
        (ids) => ids.filter((id) => stays(id, memberOf(one, id)?.incarnation)).length >= majority(ids.length),
      ),
    );
  }

  /** The machine gets another disk, and has to come into the cluster with it once it is started. */
  replaceDisk(host: Host, place: 'member' | 'returning'): void {
    const { id } = host;
    this.crash(host);
    const observed = host.replaceDisk();
    if (observed !== undefined) this.#replaced.push(observed);
    this.#invariants.forget(id);
    host.place = place;
    this.journal.note(`${id} has another disk, ${host.disk.incarnation}`);
  }

  /** Whoever thinks it leads, in the latest term. */
  leader(): Host | undefined {
    let latest: Host | undefined;
    for (const host of this.hostList) {
      const { node } = host;
      if (node?.state.current.role !== 'leader') continue;
      if (latest === undefined || node.state.term > (latest.node?.state.term ?? 0)) latest = host;
    }
    return latest;
  }

  crash(host: Host): void {
    if (!host.isUp && !host.isJoining) return;
    host.crash();
    this.journal.note(`${host.id} crashed`);
  }

  /**
   * Its disk fails at the next operation of the log: the process ends, as the product's does, and nothing is answered. It
   * comes back after `downMs`.
   */
  failDisk(host: Host, downMs: number): void {
    if (!host.isUp) return;
    host.disk.failNext(() => {
      host.crash();
      this.journal.note(`${host.id} stopped, its disk failed`);
      this.world.after(downMs, () => this.restart(host));
    });
  }

  /** Stops it in good order; it comes back after `downMs`. */
  leave(host: Host, downMs: number): void {
    host.leave().then(
      () => {
        this.journal.note(`${host.id} stopped`);
        this.world.after(downMs, () => this.restart(host));
      },
      (error: unknown) => this.fail(error),
    );
  }

  restart(host: Host): void {
    if (host.isUp || host.isJoining || host.place === 'outside') return;
    this.#restarted.add(host.id);
    this.#appliedSeen.delete(host.id);
    host.start().catch((error: unknown) => this.fail(error));
  }

  /** Everything that was broken works again, and every machine runs. */
  heal(): void {
    this.#whenElected = undefined;
    this.#whenJoint = undefined;
    this.network.heal();
    for (const host of this.hostList) {
      host.resume();
      host.drift(1);
      host.disk.mend();
      this.restart(host);
    }
  }

  /** Runs until `done` holds or the time has come; returns whether it holds. Throws what went wrong. */
  async run(untilMs: number, done: () => boolean = () => false): Promise<boolean> {
    while (!done()) {
      if (!this.world.step(untilMs)) return done();
      await settle();
      this.#check();
    }
    return true;
  }

  fail(error: unknown): void {
    this.#failure ??= { error };
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
    // Most events concern one machine, many concern none.
    const observed: Observed[] = [];
    const changed: Observed[] = [];
    let touched = false;
    for (const host of this.hostList) {
      const isTouched = host.takeTouched();
      touched ||= isTouched;
      if (isTouched) {
        this.#observeApplied(host);
        host.disk.observe(host.node?.state);
        this.#lookForJoint(host);
      }
      if (host.observed === undefined) continue;
      observed.push(host.observed);
      if (isTouched) changed.push(host.observed);
    }
    if (!touched) return;
    this.oracle.observe(this.hostList, this.world.nowMs);
    // A disk counts for what is committed even while nothing runs on it; before its first start there is no state to see.
    this.#hasBegun ||= this.hostList.every((host) => host.place === 'outside' || host.observed !== undefined);
    if (this.#hasBegun) this.#invariants.observe([...observed, ...this.#replaced], this.#restarted, changed);
    for (const { id, isUp } of this.hostList) if (isUp) this.#restarted.delete(id);
  }

  #lookForJoint(host: Host): void {
    const task = this.#whenJoint;
    if (task === undefined || host.node === undefined || !isJoint(host.node.configuration)) return;
    this.#whenJoint = undefined;
    task(host);
  }

  /** Every entry that a state machine has taken since the last look. */
  #observeApplied({ id, node, disk }: Host): void {
    if (node === undefined) return;
    const from = this.#appliedSeen.get(id) ?? 0;
    const { appliedIndex } = node;
    for (let index = from + 1; index <= appliedIndex; index += 1) {
      // A snapshot brought it, or it was compacted since.
      if (index <= node.state.log.base.index) continue;
      const entry = disk.entryAt(index);
      if (entry === undefined) throw new Error(`${id} applied entry ${index}, which its log does not hold`);
      this.#invariants.applied(id, entry, node.state.term);
      this.oracle.applied(entry);
    }
    this.#appliedSeen.set(id, appliedIndex);
  }
}

function firstOf(nodes: number): Configuration {
  const ids = Array.from({ length: nodes }, (_, at) => `n${at + 1}`);
  return configuration(
    'simulated',
    ids.map((id) => ({ id, incarnation: incarnationOf(id), raft: id, rpc: id, http: id, voter: true })),
  );
}
