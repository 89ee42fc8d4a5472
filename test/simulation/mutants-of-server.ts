/** Mutants of what stands around the core: the loop, the state machine's store, waiting and forwarding. */

import type { Mutant } from './mutants.js';

const LOOP_MUTANTS: readonly Mutant[] = [
  {
    name: 'vote-not-persisted',
    file: 'server/log-writer.js',
    breaks: 'a vote survives a restart (Figure 2, "Persistent state")',
    original: ': { entries, hardState }, done);',
    replacement: ': { entries, hardState: { ...hardState, vote: undefined } }, done);',
  },
  {
    name: 'term-not-persisted',
    file: 'server/log-writer.js',
    breaks: 'the term survives a restart (Figure 2, "Persistent state")',
    original: 'hardState === undefined ? { entries }',
    replacement: 'hardState === undefined || entries.length === 0 ? { entries }',
  },
  {
    name: 'acknowledged-before-fsync',
    file: 'server/node.js',
    breaks: 'an acknowledgement leaves after the fsync that it promises (§5.3; Figure 2)',
    original: 'this.#logWriter.append(append, () => {',
    replacement:
      'this.#ports.transport.send(append.messages);\n        this.#logWriter.append(append, () => {',
  },
  {
    name: 'applied-told-before-written',
    file: 'server/applier.js',
    breaks: 'a write is answered, and seen by reads, once it is in the store',
    original:
      'this.#store.write({ applied, ...set.changes() }, () => {\n                this.#applied = applied;',
    replacement:
      'this.#applied = applied;\n            this.#store.write({ applied, ...set.changes() }, () => {',
  },
  {
    name: 'applied-index-apart',
    file: 'persistence/memory/state-store.js',
    breaks: 'the applied index is in the same batch as the data that it covers',
    original: 'store(disk, copy);\n                writing = false;\n                done();',
    replacement:
      'store(disk, { ...copy, applied: disk.applied });\n' +
      '                gate.run(() => {\n' +
      '                    disk.applied = copy.applied;\n' +
      '                    writing = false;\n' +
      '                    done();\n' +
      '                });',
  },
  {
    name: 'truncation-not-persisted',
    file: 'persistence/memory/log-store.js',
    breaks: 'entries that were replaced are gone from the disk (§5.3)',
    original: 'disk.entries.length = first.index - 1 - disk.base.index;',
    replacement: 'disk.entries.length = Math.max(disk.entries.length, first.index - 1 - disk.base.index);',
  },
];

const ANSWER_MUTANTS: readonly Mutant[] = [
  {
    name: 'result-of-another-entry',
    file: 'server/waiters.js',
    breaks: 'a proposal is answered with the result of its own entry, by term and index',
    original: 'waiting.term === term && results.length === waiting.settles.length',
    replacement: 'results.length > 0',
  },
  {
    name: 'results-of-an-entry-mixed-up',
    file: 'server/waiters.js',
    breaks: 'each write of a shared entry is answered with its own result',
    original: 'const result = results[at];',
    replacement: 'const result = results[0];',
  },
  {
    name: 'key-twice-in-an-entry',
    file: 'server/shared-entries.js',
    breaks: 'every write of a key has a revision of its own',
    original: ' || keys.has(key)',
    replacement: '',
  },
  {
    name: 'lost-forwarding-is-no-refusal',
    file: 'server/rpc/forwarding.js',
    breaks: 'a forwarded write without an answer may be applied: it is not proposed again',
    original: "if (outcomeOf(error) === 'unknown')\n        return { status: 'unresolved' };",
    replacement: '',
  },
  {
    name: 'stopping-settles-displaced',
    file: 'server/waiters.js',
    breaks: 'what is undecided when a node stops stays so',
    original:
      "for (const { settles } of waiting)\n            for (const settle of settles)\n                settle({ status: 'unresolved' });",
    replacement:
      "for (const { settles } of waiting)\n            for (const settle of settles)\n                settle({ status: 'displaced' });",
  },
  {
    name: 'unresolved-tried-again',
    file: 'server/proposer.js',
    breaks: 'a write whose fate is unknown is not proposed again',
    original: 'if (isRepeatable(attempt.command))',
    replacement: 'if (true)',
  },
  {
    name: 'read-ahead-of-applied',
    file: 'server/fresh-reads.js',
    breaks: 'a read waits until its index is applied here (§8)',
    original: 'if (index <= node.appliedIndex)',
    replacement: 'if (index >= 0)',
  },
  {
    name: 'read-joins-an-older-batch',
    file: 'server/fresh-reads.js',
    breaks: 'reads wait together only for the same index (thesis §6.4)',
    original: 'if (this.#last?.index !== index)',
    replacement: 'if (this.#last === undefined)',
  },
  {
    name: 'read-shares-an-asked-index',
    file: 'server/read-indexes.js',
    breaks: 'a read is covered only by an index that was asked for after it came (thesis §6.4)',
    original:
      '        this.#gathering = undefined;\n' +
      '        this.#asking = this.#fetch(deadlineAfter(this.#clock, this.#options.timeoutMs));\n' +
      '        return this.#asking;',
    replacement:
      '        this.#asking = this.#fetch(deadlineAfter(this.#clock, this.#options.timeoutMs));\n' +
      '        return this.#asking.finally(() => {\n' +
      '            this.#gathering = undefined;\n' +
      '        });',
  },
];

const SESSION_MUTANTS: readonly Mutant[] = [
  {
    name: 'result-rows-taken-for-absent',
    file: 'kv/apply.js',
    breaks: 'a number that has a result is looked up before it is taken for a new one',
    original: 'seq <= session.highest',
    replacement: 'seq < session.highest',
  },
  {
    name: 'session-result-not-kept',
    file: 'kv/sessions.js',
    breaks:
      'a write that comes again under its session gets its first result, and changes nothing (thesis §6.3)',
    original: 'set.put(resultRow(clientId, seq), encodeKept(fingerprint(update), result));',
    replacement: '',
  },
  {
    name: 'session-not-forgetting-for-good',
    file: 'kv/sessions.js',
    breaks: 'a number below the lowest pending one is never applied again (thesis §6.3)',
    original: 'if (tag.seq < session.lowestPending || tag.seq < tag.lowestPending)',
    replacement: 'if (tag.seq < tag.lowestPending)',
  },
  {
    name: 'session-results-apart',
    file: 'server/applier.js',
    breaks: 'the session table survives a restart with the data that it guards',
    original: 'this.#store.write({ applied, ...set.changes() }, () => {',
    replacement:
      'const { puts, deletes } = set.changes();\n' +
      "            this.#store.write({ applied, puts: puts.filter(([row]) => row[0] !== 'r'), deletes }, () => {",
  },
  {
    name: 'log-time-of-the-node',
    file: 'server/applier.js',
    breaks: 'expiry is decided by the stamps in the log, not by the clock of the node that applies',
    original: 'stampMs: readStamp(data)',
    replacement: 'stampMs: readStamp(data) + performance.now()',
  },
  {
    name: 'uncertainty-forgotten',
    file: 'server/proposer.js',
    breaks: 'once an attempt may have been applied, no later refusal makes it "not-applied"',
    original: 'attempt.uncertain = true;',
    replacement: '',
  },
];

export const SERVER_MUTANTS: readonly Mutant[] = [...LOOP_MUTANTS, ...ANSWER_MUTANTS, ...SESSION_MUTANTS];
