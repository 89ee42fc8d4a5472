/**
 * Tells apart two updates that a client sent under the same number by mistake. It is no defence against malice: whoever
 * may use a session may write in its name anyway.
 */

import type { ChainState } from './chain.js';
import { absorb } from './chain.js';
import { encodeCommand } from './codec.js';
import type { Update } from './command.js';

/** 53 bits of a hash over everything but the session (and no stamp): that differs between attempts. */
export function fingerprint(update: Update): number {
  const { session, ...bare } = update;
  const hash: ChainState = { a: 0, b: 0 };
  absorb(hash, encodeCommand(bare));
  return (hash.a >>> 11) * 2 ** 32 + (hash.b >>> 0);
}
