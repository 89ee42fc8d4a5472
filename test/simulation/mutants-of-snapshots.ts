/** Mutants of snapshots, of what follows a loss, and of what keys, their history and their expiry hang on. */

import type { Mutant } from './mutants.js';

const SNAPSHOT_MUTANTS: readonly Mutant[] = [
  {
    name: 'snapshot-behind-the-commit',
    file: 'raft/snapshots.js',
    breaks: 'a snapshot takes the place only of a log that it goes beyond (§7)',
    original: 'return snapshot.index > log.commit && !log.holds(snapshot);',
    replacement: 'return true;',
  },
  {
    name: 'log-not-reset-after-install',
    file: 'raft/snapshots.js',
    breaks: 'the log begins behind the snapshot that took its place, on the disk, too (§7)',
    original: 'state.newBase = snapshot;',
    replacement: '',
  },
  {
    name: 'reset-keeps-old-entries',
    file: 'persistence/memory/log-store.js',
    breaks: 'what a snapshot replaced is gone from the disk (§7)',
    original: 'disk.entries.length = 0;',
    replacement: '',
  },
  {
    name: 'install-answered-before-durable',
    file: 'raft/snapshots.js',
    breaks: 'a snapshot is acknowledged once the log begins behind it durably (§7)',
    original: 'state.afterAppend.push(',
    replacement: 'state.outbox.push(',
  },
  {
    name: 'compaction-beyond-the-durable-state',
    file: 'server/snapshot-making.js',
    breaks: 'the log is cut off only behind what the state holds durably',
    original: 'this.#parts.stateStore.persist(({ index: durableIndex }) => {',
    replacement: '((then) => then({ index: Infinity }))(({ index: durableIndex }) => {',
  },
  {
    name: 'applied-index-not-in-the-snapshot',
    file: 'persistence/memory/state-store.js',
    breaks: 'a snapshot says up to where its state reflects the log (§7)',
    original: 'applied: disk.applied,\n        next(',
    replacement: 'applied: { ...disk.applied, index: Math.max(1, disk.applied.index - 1) },\n        next(',
  },
  {
    name: 'sessions-not-in-the-snapshot',
    file: 'persistence/memory/state-store.js',
    breaks: 'sessions and their results go along with a snapshot (thesis §6.3)',
    original: 'const rows = [...disk.rows];',
    replacement: "const rows = disk.rows.filter(([row]) => row[0] !== 'r' && row[0] !== 's');",
  },
  {
    name: 'history-not-in-the-snapshot',
    file: 'persistence/memory/state-store.js',
    breaks: 'what watches are told goes along with a snapshot',
    original: 'const rows = [...disk.rows];',
    replacement: "const rows = disk.rows.filter(([row]) => row[0] !== 'h');",
  },
  {
    name: 'deadlines-not-in-the-snapshot',
    file: 'persistence/memory/state-store.js',
    breaks: 'the times at which keys are to go are part of a snapshot',
    original: 'const rows = [...disk.rows];',
    replacement: "const rows = disk.rows.filter(([row]) => row[0] !== 'x');",
  },
  {
    name: 'configuration-not-kept-with-the-base',
    file: 'persistence/memory/log-store.js',
    breaks: 'the members are kept with the place where the log begins (§7)',
    original:
      'disk.entries.splice(0, base.index - disk.base.index);\n                disk.base = { ...base };',
    replacement:
      'disk.entries.splice(0, base.index - disk.base.index);\n' +
      '                disk.base = { index: base.index, term: base.term };',
  },
  {
    name: 'entries-from-behind-the-base',
    file: 'raft/replication.js',
    breaks: 'who needs what the log does not hold any more is sent a snapshot (§7)',
    original: 'if (progress.next <= state.log.base.index) {',
    replacement: 'if (progress.next < 0) {',
  },
];

const LOSS_MUTANTS: readonly Mutant[] = [
  {
    name: 'stateless-node-applies',
    file: 'raft/ready-maker.js',
    breaks: 'a state that is lost is made from a snapshot before anything is applied to it',
    original: 'if (log.lacksState || ',
    replacement: 'if (',
  },
  {
    name: 'stateless-node-is-not-told-of',
    file: 'raft/replication.js',
    breaks: 'a node whose state is lost asks its leader for a snapshot',
    original: 'needsSnapshot: state.log.lacksState ? state.log.base.index : 0,',
    replacement: 'needsSnapshot: 0,',
  },
  {
    name: 'lost-acknowledgements-count',
    file: 'raft/progress.js',
    breaks: 'what a node lost is not counted as acknowledged by it any more',
    original: 'this.match = Math.min(this.match, next - 1);',
    replacement: '',
  },
  {
    name: 'heartbeat-commits-what-is-lost',
    file: 'raft/replication.js',
    breaks: 'a log that lost its end may lack what its leader knows it acknowledged',
    original: 'const commit = state.lostEnd === undefined ? message.commit : 0;',
    replacement: 'const { commit } = message;',
  },
  {
    name: 'state-beyond-its-log',
    file: 'server/recovery.js',
    breaks: 'a state that was installed beyond its log takes the log with it',
    original: 'if (applied.index < log.base.index || termAt(log, applied.index) === applied.term)',
    replacement: 'if (applied !== undefined)',
  },
  {
    name: 'forgetful-node-votes-as-if-whole',
    file: 'raft/election.js',
    breaks: 'a node whose log lost its end votes only for logs that hold what it had',
    original: 'const reaches = lostEnd === undefined ||',
    replacement: 'const reaches = true ||',
  },
  {
    name: 'forgetful-node-campaigns',
    file: 'raft/election.js',
    breaks: 'a node whose log lost its end does not campaign',
    original: 'state.lostEnd !== undefined || state.installing',
    replacement: 'state.installing',
  },
  {
    name: 'stateless-node-campaigns',
    file: 'raft/election.js',
    breaks: 'a node whose state is lost does not lead',
    original: 'if (state.log.lacksState || ',
    replacement: 'if (',
  },
  {
    name: 'lost-end-forgotten-by-a-restart',
    file: 'persistence/marked-log-store.js',
    breaks: 'what is lost is not forgotten by the next restart',
    original:
      "let lost = found.kind === 'found' && endsBefore(end, found.mark.last) ? found.mark.last : undefined;",
    replacement: 'let lost = undefined;',
  },
];

const KEY_MUTANTS: readonly Mutant[] = [
  {
    name: 'expires-at-half-its-time',
    file: 'kv/entries.js',
    breaks: 'a key lives for all of its time',
    original: 'logTimeMs + ttlMs;',
    replacement: 'logTimeMs + ttlMs / 2;',
  },
  {
    name: 'log-time-jumps-with-a-leader',
    file: 'server/log-clock.js',
    breaks: 'log time goes on no faster than the clocks, whoever leads',
    original: '        return appliedMs;',
    replacement: '        return appliedMs + 500;',
  },
  {
    name: 'changes-of-a-batch-as-one',
    file: 'kv/apply.js',
    breaks: 'what is told of changes depends on the entries alone, not on how they were batched',
    original: 'keepChanges(set, one.index, set.takeNotes());',
    replacement: 'if (one === proposed.at(-1)) keepChanges(set, one.index, set.takeNotes());',
  },
  {
    name: 'watch-ahead-of-its-page',
    file: 'server/history-reader.js',
    breaks: 'a watch goes on behind what it has read, not behind what is there by now',
    original: 'Math.max(after, last, applied.index)',
    replacement: 'Math.max(after, last, applied.index + 1)',
  },
  {
    name: 'checks-not-looked-at',
    file: 'kv/txn.js',
    breaks: 'a transaction is carried out only where all its checks hold',
    original: 'if (failed.length > 0)',
    replacement: 'if (failed.length < 0)',
  },
  {
    name: 'prefix-delete-among-others',
    file: 'server/applier.js',
    breaks: 'the keys under a prefix are looked for when all before is applied',
    original: 'if (closed || alone)',
    replacement: 'if (closed)',
  },
];

export const SNAPSHOT_AND_KEY_MUTANTS: readonly Mutant[] = [
  ...SNAPSHOT_MUTANTS,
  ...LOSS_MUTANTS,
  ...KEY_MUTANTS,
];
