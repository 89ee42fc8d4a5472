/** The port to compression, which takes time and so answers later. Nothing of it is trusted: unpacked lengths are checked again. */

import type { Done } from './outcome.js';
import { SnapshotError, failure, success } from './outcome.js';

export interface Codec {
  /** Stands in the file; 0: nothing is compressed. */
  readonly id: number;
  /** Undefined when it would not become shorter. */
  compress(block: Buffer, done: (compressed: Buffer | undefined) => void): void;
  /** Fails for what does not unpack, or to more than `bytesMax`, before it takes more memory than that. */
  decompress(block: Buffer, bytesMax: number, done: Done<Buffer>): void;
}

/** Compresses nothing. @param defer runs a task later, never within the call */
export function identityCodec(defer: (task: () => void) => void): Codec {
  return {
    id: 0,
    compress: (_, done) => defer(() => done(undefined)),
    decompress: (block, bytesMax, done) =>
      defer(() =>
        done(
          block.length > bytesMax
            ? failure(new SnapshotError('damaged', `a block of ${block.length} bytes, not ${bytesMax}`))
            : success(block),
        ),
      ),
  };
}
