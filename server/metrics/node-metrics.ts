/** Consensus, snapshots and storage: what is told as it happens, and what is asked for when somebody scrapes. */

import type { Registry } from 'prom-client';
import { Counter, Gauge } from 'prom-client';
import type { EngineProperties } from '../../persistence/engine-properties.js';
import type { Role } from '../../raft/state.js';
import type { SnapshotFile } from '../../snapshot/identity.js';
import type { Node } from '../node.js';
import type { Standing } from '../standing.js';

const ROLES: readonly Role[] = ['leader', 'follower', 'candidate', 'pre-candidate'];

/** What is asked at a scrape. */
export interface NodeSources {
  /** Undefined while it starts. */
  readonly node: () => Node | undefined;
  readonly snapshots: () => readonly SnapshotFile[];
  readonly engine: () => readonly EngineProperties[];
  /** What one tick of the core is. */
  readonly tickMs: number;
}

/** Counts a change of term, role or leader, as the node tells of it. */
export type ObserveStanding = (
  now: Pick<Standing, 'role' | 'leader'>,
  before: Pick<Standing, 'role'>,
) => void;

/** Elections and changes of leader. */
export function standingMetrics(registry: Registry): ObserveStanding {
  const registers = [registry];
  const elections = new Counter({
    name: 'kv_raft_elections_total',
    help: 'Elections that this node stood in, and those of them that it won',
    labelNames: ['result'],
    registers,
  });
  for (const result of ['begun', 'won']) elections.inc({ result }, 0);
  const changes = new Counter({
    name: 'kv_raft_leader_changes_total',
    help: 'Times that this node has come to know of another leader than before',
    registers,
  });
  let known: string | undefined;
  return (now, before) => {
    if (now.role === 'candidate' && before.role !== 'candidate') elections.inc({ result: 'begun' });
    if (now.role === 'leader' && before.role !== 'leader') elections.inc({ result: 'won' });
    if (now.leader === undefined || now.leader === known) return;
    if (known !== undefined) changes.inc();
    known = now.leader;
  };
}

interface Scrape {
  readonly gauge: (name: string, help: string, labelNames?: readonly string[]) => Gauge;
  readonly sources: NodeSources;
}

/** Registers what `refresh` sets; it is to be called before each scrape. */
export function nodeMetrics(registry: Registry, sources: NodeSources): () => void {
  const registers = [registry];
  const gauge: Scrape['gauge'] = (name, help, labelNames = []) =>
    new Gauge({ name, help, labelNames: [...labelNames], registers });
  const scrape = { gauge, sources };
  const parts = [raft(scrape), proposals(registry, sources), followers(scrape), files(scrape)];
  return () => {
    for (const part of parts) part();
  };
}

function raft({ gauge, sources }: Scrape): () => void {
  const term = gauge('kv_raft_term', 'The current term');
  const role = gauge('kv_raft_role', '1 for the role that this node has, 0 for the others', ['role']);
  const hasLeader = gauge('kv_raft_has_leader', '1 while a leader is known');
  const commit = gauge('kv_raft_commit_index', 'The last entry known to be committed');
  const applied = gauge('kv_raft_applied_index', 'The last entry that the state reflects');
  const last = gauge('kv_raft_last_index', 'The last entry of the log');
  const first = gauge('kv_raft_first_index', 'The first entry that the log still holds');
  const pending = gauge('kv_raft_pending_proposals', 'Proposals that wait to be applied');
  const reads = gauge(
    'kv_raft_waiting_reads',
    'Read indexes that reads wait for to be applied here; any number of reads may share one',
  );
  const keys = gauge('kv_keys', 'Keys in the store');
  return () => {
    const node = sources.node();
    if (node === undefined) return;
    const { state, standing } = node;
    term.set(state.term);
    for (const name of ROLES) role.set({ role: name }, state.current.role === name ? 1 : 0);
    hasLeader.set(standing.leader === undefined ? 0 : 1);
    commit.set(state.log.commit);
    applied.set(node.appliedIndex);
    last.set(state.log.lastIndex);
    first.set(state.log.firstIndex);
    pending.set(node.pendingProposals);
    reads.set(node.waitingReads);
    keys.set(node.keyCount);
  };
}

function proposals(registry: Registry, { node }: NodeSources): () => void {
  const total = new Counter({
    name: 'kv_raft_proposals_total',
    help: 'Commands that this node has appended as the leader',
    registers: [registry],
  });
  const applied = new Counter({
    name: 'kv_commands_applied_total',
    help: 'Commands that this node has applied to its state',
    registers: [registry],
  });
  return () => {
    total.reset();
    total.inc(node()?.proposalCount ?? 0);
    applied.reset();
    applied.inc(node()?.commandCount ?? 0);
  };
}

/** Only of a leader; the members of a cluster are few, and one that has gone is told of no more. */
function followers({ gauge, sources }: Scrape): () => void {
  const peer = ['peer'];
  const lag = gauge('kv_raft_follower_lag_entries', 'Entries that a follower is behind its leader', peer);
  const inflight = gauge('kv_raft_follower_inflight_appends', 'Appends not acknowledged yet', peer);
  const bytes = gauge('kv_raft_follower_inflight_bytes', 'Bytes of entries not acknowledged yet', peer);
  const contact = gauge('kv_raft_follower_last_contact_seconds', 'Since a follower was heard of', peer);
  return () => {
    for (const metric of [lag, inflight, bytes, contact]) metric.reset();
    const state = sources.node()?.state;
    if (state?.current.role !== 'leader') return;
    for (const [id, progress] of state.current.progress) {
      if (id === state.id) continue;
      lag.set({ peer: id }, state.log.lastIndex - progress.match);
      inflight.set({ peer: id }, progress.inflightAppends);
      bytes.set({ peer: id }, progress.inflightBytes);
      contact.set({ peer: id }, ((state.now - progress.contactTick) * sources.tickMs) / 1000);
    }
  };
}

function files({ gauge, sources }: Scrape): () => void {
  const count = gauge('kv_snapshots', 'Complete snapshots on disk');
  const bytes = gauge('kv_snapshot_newest_bytes', 'Size of the newest snapshot');
  const index = gauge('kv_snapshot_newest_index', 'The last entry that the newest snapshot covers');
  const engine = gauge('kv_engine_property', 'What the storage engine says of a database of it', [
    'database',
    'property',
  ]);
  return () => {
    const all = sources.snapshots();
    const newest = all.at(-1);
    count.set(all.length);
    bytes.set(newest?.bytes ?? 0);
    index.set(newest?.position.index ?? 0);
    engine.reset();
    for (const { database, values } of sources.engine()) {
      for (const [property, value] of Object.entries(values)) engine.set({ database, property }, value);
    }
  };
}
