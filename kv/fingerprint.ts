/**
 * Tells apart two updates that a client sent under the same number by mistake. It is no defence against malice: whoever
 * may use a session may write in its name anyway.
 */

import type { ChainState } from './chain.js';
import { absorb, absorbNumber, absorbText } from './chain.js';
import { encodeCommand } from './codec.js';
import type { Update, Write } from './command.js';

/** 53 bits of a hash over everything but the session (and no stamp): that differs between attempts. */
export function fingerprint(update: Update): number {
  const hash: ChainState = { a: 0, b: 0 };
  if (update.op === 'set' || update.op === 'delete') absorbWrite(hash, update);
  else absorbOther(hash, update);
  return (hash.a >>> 11) * 2 ** 32 + (hash.b >>> 0);
}

/** Field by field: nearly all updates are writes, and encoding one costs more than its hash. */
function absorbWrite(hash: ChainState, write: Write): void {
  const { key, ifRevision, ifPresent } = write;
  const ttlMs = write.op === 'set' ? write.ttlMs : undefined;
  const ifAbsent = write.op === 'set' && write.ifAbsent === true;
  const fields =
    (write.op === 'set' ? 1 : 0) |
    (ifRevision === undefined ? 0 : 2) |
    (ttlMs === undefined ? 0 : 4) |
    (ifAbsent ? 8 : 0) |
    (ifPresent === true ? 16 : 0);
  absorbNumber(hash, fields);
  if (ifRevision !== undefined) absorbNumber(hash, ifRevision);
  if (ttlMs !== undefined) absorbNumber(hash, ttlMs);
  absorbText(hash, key);
  if (write.op === 'set') absorb(hash, write.value);
}

function absorbOther(hash: ChainState, update: Update): void {
  const { session, ...bare } = update;
  absorb(hash, encodeCommand(bare));
}
