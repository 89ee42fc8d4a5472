/** A whole simulated cluster, watched by every invariant after every event. */

import type { Configuration, NodeId } from '../../membership/configuration.js';
import { configuration } from '../../membership/configuration.js';
import type { Observed } from '../../raft/invariants.js';
import { ClusterInvariants } from '../../raft/invariants.js';
import type { Trace } from '../../raft/trace.js';
import { traceLine } from '../../raft/trace.js';
import { firstBatch } from '../../server/bootstrap.js';
import { Host, incarnationOf } from './host.js';
import { Journal } from './journal.js';
import { Network } from './network.js';
import type { Random } from './random.js';
import { World, settle } from './world.js';

export class SimulatedCluster {
  readonly world = new World();
  readonly journal = new Journal(() => this.world.nowMs);
  readonly network: Network;
  readonly hostList: readonly Host[];
  readonly #hosts = new Map<NodeId, Host>();
  readonly #invariants = new ClusterInvariants();
  readonly #appliedSeen = new Map<NodeId, number>();
  readonly #restarted = new Set<NodeId>();
  #failure: { readonly error: unknown } | undefined;

  /** `traceTo` takes every line of the trace, see `raft/trace.ts`; no message is doubled then. */
  constructor(nodes: number, random: Random, traceTo?: (line: string) => void) {
    this.network = new Network(this.world, random.fork(), traceTo === undefined);
    const first = firstOf(nodes);
    const places = first.members.map(({ id }) => id);
    const trace: Trace | undefined = traceTo && ((event) => traceTo(traceLine(event, places)));
    const around = {
      world: this.world,
      network: this.network,
      journal: this.journal,
      configuration: first,
      hosts: this.#hosts,
      fail: (error: unknown) => this.#fail(error),
      ...(trace && { trace }),
    };
    const { entries, hardState } = firstBatch(first);
    for (const { id } of first.members) {
      const host = new Host(id, around, random.fork());
      host.disk.log.entries.push(...entries);
      host.disk.log.hardState = hardState;
      this.#hosts.set(id, host);
      this.restart(host);
    }
    this.hostList = [...this.#hosts.values()];
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
    if (!host.isUp) return;
    host.crash();
    this.journal.note(`${host.id} crashed`);
  }

  restart(host: Host): void {
    if (host.isUp) return;
    this.#restarted.add(host.id);
    this.#appliedSeen.delete(host.id);
    host.start().catch((error: unknown) => this.#fail(error));
  }

  /** Everything that was broken works again, and every machine runs. */
  heal(): void {
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

  #fail(error: unknown): void {
    this.#failure ??= { error };
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
    this.#observeApplied();
    const observed = this.hostList.flatMap((host): Observed[] => {
      const node = host.node ?? host.lastNode;
      return node === undefined ? [] : [{ state: node.state, disk: diskOf(host) }];
    });
    // A disk counts for what is committed even while nothing runs on it; before its first start there is no state to see.
    if (observed.length === this.hostList.length) this.#invariants.observe(observed, this.#restarted);
    for (const host of this.hostList) if (host.isUp) this.#restarted.delete(host.id);
  }

  /** Every entry that a state machine has taken since the last look. */
  #observeApplied(): void {
    for (const { id, node, disk } of this.hostList) {
      if (node === undefined) continue;
      const from = this.#appliedSeen.get(id) ?? 0;
      const { appliedIndex } = node;
      for (let index = from + 1; index <= appliedIndex; index += 1) {
        const entry = disk.entries[index - 1];
        if (entry === undefined) throw new Error(`${id} applied entry ${index}, which its log does not hold`);
        this.#invariants.applied(id, entry);
      }
      this.#appliedSeen.set(id, appliedIndex);
    }
  }
}

function diskOf({ disk }: Host): Observed['disk'] {
  const { hardState } = disk.log;
  return {
    term: hardState?.term ?? 0,
    vote: hardState?.vote,
    termAt: (index) => disk.termAt(index),
  };
}

function firstOf(nodes: number): Configuration {
  const ids = Array.from({ length: nodes }, (_, at) => `n${at + 1}`);
  return configuration(
    'simulated',
    ids.map((id) => ({ id, incarnation: incarnationOf(id), raft: id, rpc: id, http: id, voter: true })),
  );
}
