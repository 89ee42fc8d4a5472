/** Transactions: several checks and writes that take effect together or not at all. */

import { PATHS } from '../api/paths.js';
import type { Answer } from './failure.js';
import { invalidArgument } from './errors.js';
import { checkOptions, count } from './options.js';
import { checkRevision, encode, fullKey, innerKey, textOf, wireValue } from './request.js';
import type { Atomic, CommitResult } from './surface.js';
import type { View } from './view.js';

export function createAtomic<V>(view: View<V>): Atomic<V> {
  const checks: { key: string; revision: string | null }[] = [];
  const ops: Record<string, unknown>[] = [];
  const atomic: Atomic<V> = {
    check(key, revision) {
      const full = fullKey(view.prefix, key);
      if (revision !== null) checkRevision(revision, 'revision', true);
      checks.push({ key: full, revision });
      return atomic;
    },
    set(key, value, options = {}) {
      checkOptions('atomicSet', options);
      const full = fullKey(view.prefix, key);
      const ttlMs = count('ttlMs', options.ttlMs);
      const encoded = wireValue(encode(view.codec, value));
      ops.push({ op: 'set', key: full, ...encoded, ...(ttlMs === undefined ? {} : { ttlMs }) });
      return atomic;
    },
    delete(key) {
      ops.push({ op: 'delete', key: fullKey(view.prefix, key) });
      return atomic;
    },
    async commit(options = {}) {
      checkOptions('plain', options);
      if (checks.length + ops.length === 0) {
        throw invalidArgument('ops', 'a transaction needs at least one check, set or delete');
      }
      return view.call(
        {
          isWrite: true,
          route: 'leader',
          method: 'POST',
          path: PATHS.txn,
          body: { checks: [...checks], ops: [...ops] },
          read: (answer) => resultOf(view.prefix, answer),
        },
        options,
      );
    },
  };
  return atomic;
}

function resultOf(prefix: string, answer: Answer): CommitResult {
  if (answer.kind !== 'check-failed') return { ok: true, revision: textOf(answer, 'revision') };
  return { ok: false, failed: answer.failed.map((key) => innerKey(prefix, key)) };
}
