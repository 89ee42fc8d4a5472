/** Several operations as one: all of them or none, at one revision. */

import type { TxnCommand, TxnOp, TxnOpResult, TxnResult } from './command.js';
import { TXN_READ_BYTES_MAX, TXN_SESSION_READ_BYTES_MAX } from './command.js';
import { deadlineOf, headerOfKey, putEntry, removeEntry, revisionOfKey, ttlLeftMs } from './entries.js';
import { decodeValue, keyRow } from './rows.js';
import type { WorkingSet } from './working-set.js';

/** The keys whose values it reads from the state, not from its own writes; without repeats. */
export function keysGot({ ops }: TxnCommand): string[] {
  const got = new Set<string>();
  const written = new Set<string>();
  for (const { op, key } of ops) {
    if (op !== 'get') written.add(key);
    else if (!written.has(key)) got.add(key);
  }
  return [...got];
}

/** Bytes of values that it may read. */
export function readBytesMax(txn: TxnCommand): number {
  return txn.session === undefined ? TXN_READ_BYTES_MAX : TXN_SESSION_READ_BYTES_MAX;
}

export function applyTxn(set: WorkingSet, txn: TxnCommand, index: number, logTimeMs: number): TxnResult {
  const failed = txn.checks.flatMap(({ key, revision }, at) =>
    revisionOfKey(set, key) === revision ? [] : [at],
  );
  if (failed.length > 0) return { status: 'check-failed', failed };
  if (bytesRead(set, txn.ops) > readBytesMax(txn)) return { status: 'too-large' };
  return {
    status: 'txn',
    revision: index,
    results: txn.ops.map((op) => applyOp(set, op, index, logTimeMs)),
  };
}

/** Known before anything is changed, so that nothing has to be undone. */
function bytesRead(set: WorkingSet, ops: readonly TxnOp[]): number {
  const written = new Map<string, number>();
  let bytes = 0;
  for (const op of ops) {
    if (op.op === 'set') written.set(op.key, op.value.length);
    else if (op.op === 'delete') written.set(op.key, 0);
    else bytes += written.get(op.key) ?? headerOfKey(set, op.key)?.valueBytes ?? 0;
  }
  return bytes;
}

function applyOp(set: WorkingSet, op: TxnOp, index: number, logTimeMs: number): TxnOpResult {
  switch (op.op) {
    case 'set': {
      const { key, value, ttlMs } = op;
      putEntry(set, { key, value, revision: index, deadlineMs: deadlineOf(ttlMs, logTimeMs) });
      return { status: 'set' };
    }
    case 'delete':
      return { status: removeEntry(set, op.key) ? 'deleted' : 'not-found' };
    case 'get': {
      const record = set.get(keyRow(op.key));
      if (record === undefined) return { status: 'missing' };
      const { revision, deadlineMs, value } = decodeValue(record);
      const ttlMs = ttlLeftMs(deadlineMs, logTimeMs);
      return { status: 'got', revision, value, ...(ttlMs !== undefined && { ttlMs }) };
    }
  }
}
