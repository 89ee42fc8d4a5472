/** Snapshots of a toy cluster: files that any node may be sent, each in one piece. */

import type { NodeId } from '../../membership/configuration.js';
import { invariant } from '../../raft/assert.js';
import type { Index, Position } from '../../raft/entry.js';
import type { SnapshotChunk } from '../../raft/messages.js';
import type { Ready } from '../../raft/ready.js';
import { snapshotAt } from '../../raft/state.js';
import type { Node, ToySnapshot } from './toy-node.js';

/** Every snapshot that was ever sent, by its file. */
export type SentSnapshots = Map<string, ToySnapshot>;

/** A snapshot of what is applied. */
export function takeSnapshot({ id, applied, disk, raft }: Node): void {
  const last = applied.at(-1);
  if (last === undefined) throw new Error(`${id} has applied nothing`);
  disk.snapshot = { ...snapshotAt(raft.state, last.index), applied: [...applied] };
}

/** The log begins behind `index` from now on. */
export function compactTo({ raft, disk }: Node, index: Index): void {
  const base = raft.compact(index);
  if (base === undefined) return;
  disk.entries = disk.entries.slice(base.index - disk.base.index);
  disk.base = base;
}

/** As if it were a file: made by a node, at a position. */
export function chunkOf(maker: NodeId, { index, term }: Position): SnapshotChunk {
  const whole = { bytesTotal: 1, offset: 0, data: new Uint8Array(1), checksum: 0 };
  return { snapshotId: `${maker}-${index}@${term}`, ...whole };
}

/** Carries out what the core wants done about snapshots. Returns whether it has anything new to look at. */
export function carryOut(node: Node, ready: Ready, sent: SentSnapshots): boolean {
  const { transfers, chunks, chunkAnswers, install } = ready;
  const { raft } = node;
  for (const { to, atLeast } of transfers) begin(node, to, atLeast, sent);
  for (const message of chunks) {
    const snapshot = sent.get(message.chunk.snapshotId);
    invariant(snapshot !== undefined, `there is no snapshot ${message.chunk.snapshotId}`);
    if (!raft.install(snapshot, message)) raft.chunkTaken(message, { offset: message.chunk.bytesTotal });
  }
  for (const { from, index } of chunkAnswers)
    if (index > 0 && node.transfers.delete(from)) raft.transferEnded(from);
  if (install !== undefined) restore(node, install, sent);
  return transfers.length + chunks.length + chunkAnswers.length > 0 || install !== undefined;
}

function begin(node: Node, to: NodeId, atLeast: Index, sent: SentSnapshots): void {
  const { raft, disk } = node;
  // Another's log may begin later than this one's.
  if (disk.snapshot === undefined || disk.snapshot.index < atLeast) takeSnapshot(node);
  const { snapshot } = disk;
  invariant(snapshot !== undefined, `${node.id} has no snapshot`);
  if (snapshot.index < atLeast) {
    raft.transferEnded(to);
    return;
  }
  node.transfers.set(to, { term: raft.state.term, snapshot });
  const chunk = chunkOf(node.id, snapshot);
  sent.set(chunk.snapshotId, snapshot);
  raft.sendChunk(to, snapshot, chunk);
}

function restore(node: Node, { index, term }: Position, sent: SentSnapshots): void {
  const received = [...sent.values()].find((snapshot) => snapshot.index === index && snapshot.term === term);
  invariant(received !== undefined, `${node.id} installs a snapshot that never was`);
  node.disk.snapshot = received;
  node.applied = [...received.applied];
  // Whether they were applied can't be told from a snapshot.
  for (const waiting of node.waiting.keys()) if (waiting <= index) node.waiting.delete(waiting);
  node.raft.installed();
}
