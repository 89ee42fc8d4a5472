/** Deflate, off the main thread. */

import { deflateRaw, inflateRaw } from 'node:zlib';
import type { Codec } from '../codec.js';
import { SnapshotError, failure, success } from '../outcome.js';

/** The fastest: it halves what text and JSON take, and the next levels cost more time than they save. */
const LEVEL = 1;

export const ZLIB_CODEC: Codec = {
  id: 1,
  compress(block, done) {
    deflateRaw(block, { level: LEVEL }, (error, compressed) =>
      // A block that cannot be compressed, for want of memory, is stored as it is.
      done(error === null && compressed.length < block.length ? compressed : undefined),
    );
  },
  decompress(block, bytesMax, done) {
    // 0 would mean "no bound".
    const options = { maxOutputLength: Math.max(1, bytesMax) };
    inflateRaw(block, options, (error, raw) => {
      if (error === null) done(success(raw));
      else
        done(
          failure(
            new SnapshotError('damaged', `a block does not unpack: ${error.message}`, { cause: error }),
          ),
        );
    });
  },
};
