/**
 * Broken rules that it is not known to find: they take more seeds than were tried, or more than one fault of the product at a time. Most of them other tests
 * find (`test/raft/`, `test/server/`).
 */

import type { Mutant } from './mutants.js';

export const RARE_MUTANTS: readonly Mutant[] = [
  {
    name: 'lease-without-drift',
    file: 'server/raft-settings.js',
    breaks:
      'a lease is shorter than the loyalty that it counts on by what clocks may drift apart (thesis §6.4.1)',
    original: '* TICK_MS * (1 - CLOCK_DRIFT_MAX)',
    replacement: '* TICK_MS',
    seedsMax: 500,
  },
  {
    name: 'displaced-too-early',
    file: 'server/waiters.js',
    breaks: 'a lost entry may still be committed from another log; nothing is certain yet (Figure 8)',
    original: "for (const settle of before?.settles ?? [])\n            settle({ status: 'unresolved' });",
    replacement: "for (const settle of before?.settles ?? [])\n            settle({ status: 'displaced' });",
    seedsMax: 300,
  },
  {
    name: 'install-beyond-the-durable-log',
    file: 'raft/snapshots.js',
    breaks: 'a state that is restored beside a log reflects only what that log holds durably',
    original: 'if (!replacesLog && log.durable < snapshot.index)\n        return false;',
    replacement: '',
    seedsMax: 2000,
  },
  {
    name: 'append-during-an-install',
    file: 'raft/replication.js',
    breaks: 'a log that is about to be replaced takes nothing that was compared with it',
    original: 'if (state.installing?.replacesLog === true)\n        return;',
    replacement: '',
    seedsMax: 500,
  },
  {
    name: 'restored-told-before-switched',
    file: 'snapshot/restorer.js',
    breaks: 'a state is restored once all of it is in place, durably',
    original: 'restore.finish(verified.header.applied, () => done(outcome));',
    replacement: 'restore.finish(verified.header.applied, () => undefined), done(outcome);',
    seedsMax: 50,
  },
  {
    name: 'compaction-beyond-the-applied',
    file: 'server/snapshot-making.js',
    breaks: 'a snapshot that was received and not installed covers nothing here',
    original: 'Math.min(durableIndex, log.applied)',
    replacement: 'Infinity',
    seedsMax: 500,
  },
  {
    name: 'unverified-snapshot-kept',
    file: 'snapshot/receiver.js',
    breaks: 'a snapshot that has arrived is verified before it counts as received',
    original: 'if (!verified.ok) {',
    replacement: 'if (verified === undefined) {',
    seedsMax: 1000,
  },
  {
    name: 'damaged-snapshot-sent-for-ever',
    file: 'server/snapshot-sending.js',
    breaks: 'a snapshot that is damaged where it is sent from is not sent again',
    original: "if (result.type === 'refused' || result.type === 'unreadable')",
    replacement: "if (result.type === 'unreadable')",
    seedsMax: 1000,
  },
  {
    name: 'skipped-proposals-are-displaced',
    file: 'server/waiters.js',
    breaks: 'what became of a proposal that a snapshot covers is not known',
    original:
      "this.#take(index);\n            for (const settle of settles)\n                settle({ status: 'unresolved' });",
    replacement:
      "this.#take(index);\n            for (const settle of settles)\n                settle({ status: 'displaced' });",
    seedsMax: 2000,
  },
  {
    name: 'removed-leader-stays',
    file: 'raft/membership.js',
    breaks: 'a leader that is no member any more finishes its change, and goes (§6)',
    original: 'else if (!isElector(configuration, state.id))\n        resign(state, lead);',
    replacement: '',
    seedsMax: 500,
  },
  {
    name: 'lease-outlives-the-voters',
    file: 'raft/state.js',
    breaks: 'a lease that other voters gave is worth nothing (thesis §6.4.1)',
    original: 'current.reads.leaseUntilMs = -Infinity;',
    replacement: '',
    seedsMax: 3000,
  },
];
