/**
 * Tells apart two updates that a client sent under the same number by mistake. It is no defence against malice: whoever
 * may use a session may write in its name anyway.
 */

import { encodeCommand } from './codec.js';
import type { Update } from './command.js';

/** 53 bits of two FNV-1a hashes over everything but the session (and no stamp): that differs between attempts. */
export function fingerprint(update: Update): number {
  const { session, ...bare } = update;
  const bytes = encodeCommand(bare);
  let low = 0x811c9dc5;
  let high = 0x01000193;
  for (const byte of bytes) {
    low = Math.imul(low ^ byte, 0x01000193);
    high = Math.imul(high ^ byte, 0x85ebca6b);
  }
  return (high >>> 11) * 2 ** 32 + (low >>> 0);
}
