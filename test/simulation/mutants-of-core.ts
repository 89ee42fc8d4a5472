/** Mutants of the core: elections, the log, replication, the commit rule, reads and leases. */

import type { Mutant } from './mutants.js';

const ELECTION_MUTANTS: readonly Mutant[] = [
  {
    name: 'vote-without-log-check',
    file: 'raft/log.js',
    breaks: 'a vote goes only to a log that is at least as up to date (§5.4.1)',
    original:
      'return lastTerm > this.lastTerm || (lastTerm === this.lastTerm && lastIndex >= this.#lastIndex);',
    replacement: 'return true;',
  },
  {
    name: 'vote-by-length-alone',
    file: 'raft/log.js',
    breaks: 'the term of the last entry counts before the length of the log (§5.4.1)',
    original:
      'return lastTerm > this.lastTerm || (lastTerm === this.lastTerm && lastIndex >= this.#lastIndex);',
    replacement: 'return lastIndex >= this.#lastIndex;',
  },
  {
    name: 'second-vote-not-written',
    file: 'raft/ready-maker.js',
    breaks: 'a vote is on disk before it is told, in a term that is on disk already, too (Figure 2)',
    original: 'state.term !== written.term || state.vote !== written.vote;',
    replacement: 'state.term !== written.term;',
  },
  {
    name: 'half-is-a-majority',
    file: 'membership/quorum.js',
    breaks: 'any two majorities share a member (§5.2)',
    original: 'return Math.floor(voters / 2) + 1;',
    replacement: 'return Math.ceil(voters / 2);',
  },
  {
    name: 'higher-term-ignored',
    file: 'raft/raft.js',
    breaks: 'whoever sees a later term in a response enters it (§5.1)',
    original: 'if (message.term > state.term) {',
    replacement: 'if (message.term > state.term && !isResponse(message)) {',
  },
  {
    name: 'no-grace-after-start',
    file: 'raft/state.js',
    breaks: 'a node that starts may owe loyalty from before, and votes for nobody yet (thesis §6.4.1)',
    original: 'graceTick: alone ? 0 : max,',
    replacement: 'graceTick: 0,',
  },
  {
    name: 'loyalty-ignored',
    file: 'raft/election.js',
    breaks: 'who heard of a leader just now votes for nobody: leases count on it (thesis §4.2.3, §6.4.1)',
    original: 'return state.leaderTick !== undefined && state.now - state.leaderTick < min;',
    replacement: 'return false;',
  },
];

const LOG_MUTANTS: readonly Mutant[] = [
  {
    name: 'aba-guard-removed',
    file: 'raft/log.js',
    breaks: 'a write that ended counts only for the entries that the log still holds (by term and index)',
    original: 'if (position.index <= this.#durable || !this.holds(position))',
    replacement: 'if (position.index <= this.#durable)',
  },
  {
    name: 'handed-out-not-taken-back',
    file: 'raft/state.js',
    breaks: 'what replaces removed entries is written, too (§5.3)',
    original: 'state.handedOut = Math.min(state.handedOut, state.log.lastIndex);',
    replacement: '',
  },
  {
    name: 'durable-survives-truncation',
    file: 'raft/log.js',
    breaks: 'entries that were removed are not durable any more (§5.3)',
    original: 'this.#durable = Math.min(this.#durable, this.#lastIndex);',
    replacement: '',
  },
  {
    name: 'truncated-terms-stay',
    file: 'raft/term-runs.js',
    breaks: 'with an entry goes the memory of its term (§5.3)',
    original: '(this.#runs.at(-1)?.index ?? 0) >= index)',
    replacement: '(this.#runs.at(-1)?.index ?? 0) > index)',
  },
  {
    name: 'applied-past-durable',
    file: 'raft/log.js',
    breaks: 'a node applies only what is durable in its own log',
    original: 'return Math.min(this.#commit, this.#durable);',
    replacement: 'return this.#commit;',
  },
];

const REPLICATION_MUTANTS: readonly Mutant[] = [
  {
    name: 'previous-entry-not-checked',
    file: 'raft/replication.js',
    breaks: 'entries are taken only behind an entry that both logs hold (§5.3, Log Matching)',
    original: 'if (!log.holds({ index: message.prevIndex, term: message.prevTerm })) {',
    replacement: 'if (message.prevIndex > log.lastIndex) {',
  },
  {
    name: 'conflicting-entries-kept',
    file: 'raft/replication.js',
    breaks: "entries that conflict with the leader's are removed (§5.3)",
    original: '(entry) => !log.holds(entry)',
    replacement: '(entry) => entry.index > log.lastIndex',
  },
  {
    name: 'heartbeat-commits-beyond-match',
    file: 'raft/heartbeats.js',
    breaks: 'a heartbeat carries no commit index beyond what its receiver acknowledged (§5.3)',
    original: 'const commit = Math.min(progress.match, state.log.commit);',
    replacement: 'const commit = state.log.commit;',
  },
  {
    name: 'commit-of-an-earlier-term',
    file: 'raft/replication.js',
    breaks: 'only an entry of the current term is committed by counting (§5.4.2, Figure 8)',
    original: 'log.termAt(index) === state.term && log.commitTo(index)',
    replacement: 'index > 0 && log.commitTo(index)',
  },
  {
    name: 'own-disk-counted-early',
    file: 'raft/replication.js',
    breaks: "the leader's own log counts for a commit only as far as it is durable (thesis §10.2.1)",
    original: 'id === state.id ? log.durable : ',
    replacement: 'id === state.id ? log.lastIndex : ',
  },
  {
    name: 'lost-append-not-asked-after',
    file: 'raft/replication.js',
    breaks: 'what was lost on the way is sent again (§5.3)',
    original: 'progress.inflightAppends > 0 && !progress.answered',
    replacement: 'progress.inflightAppends < 0',
  },
];

const READ_MUTANTS: readonly Mutant[] = [
  {
    name: 'read-without-a-round',
    file: 'raft/raft.js',
    breaks: 'a read waits until a majority confirmed the leader (§8, thesis §6.4)',
    original: 'if (lease && holdsLease(this.#state, current)) {',
    replacement: 'if (log.commit >= current.firstIndex) {',
  },
  {
    name: 'late-answer-confirms',
    file: 'raft/reads.js',
    breaks: 'an answer to an earlier heartbeat confirms nothing about a later round (thesis §6.4)',
    original:
      'if (message.round > (reads.answered.get(message.from) ?? 0))\n        reads.answered.set(message.from, message.round);',
    replacement: 'reads.answered.set(message.from, reads.lastRound);',
  },
  {
    name: 'refused-heartbeat-confirms',
    file: 'raft/raft.js',
    breaks: 'the refusal of a heartbeat of an earlier term confirms no round of a later one (thesis §6.4)',
    original: 'round: NO_ROUND,',
    replacement: 'round: message.round,',
  },
  {
    name: 'read-before-first-commit',
    file: 'raft/reads.js',
    breaks: 'a new leader gives no index out before it committed an entry of its term (§8)',
    original: 'const servable = state.log.commit >= lead.firstIndex;',
    replacement: 'const servable = true;',
  },
  {
    name: 'lease-read-before-first-commit',
    file: 'raft/reads.js',
    breaks: 'a lease gives no index out before the first commit of the term (§8)',
    original: 'if (lead.handedOver || state.log.commit < lead.firstIndex)',
    replacement: 'if (lead.handedOver)',
  },
  {
    name: 'lease-from-the-answer',
    file: 'raft/reads.js',
    breaks: 'a lease counts from when the heartbeat was sent (thesis §6.4.1)',
    original: 'sentMs + state.options.leaseMs',
    replacement: 'state.clockMs + state.options.leaseMs + 0 * sentMs',
  },
  {
    name: 'lease-survives-transfer',
    file: 'raft/reads.js',
    breaks: 'who asked another node to campaign has no lease any more (thesis §6.4.1)',
    original: 'if (lead.handedOver || state.log.commit < lead.firstIndex)',
    replacement: 'if (state.log.commit < lead.firstIndex)',
  },
];

export const CORE_MUTANTS: readonly Mutant[] = [
  ...ELECTION_MUTANTS,
  ...LOG_MUTANTS,
  ...REPLICATION_MUTANTS,
  ...READ_MUTANTS,
];
