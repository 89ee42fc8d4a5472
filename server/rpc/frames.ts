/**
 * Length-prefixed frames: two unsigned 32-bit big-endian numbers, the length of the payload in bytes and its CRC-32, then
 * the payload. TCP's own 16-bit sum lets one damaged segment in some ten thousand pass, and what is carried here ends in a log.
 */

import { crc32 } from 'node:zlib';

export const FRAME_HEADER_BYTES = 8;

/** What came can't be followed any further: the connection has to close. */
export class FrameError extends Error {
  override readonly name = 'FrameError';
}

export interface FrameParser {
  /**
   * Takes what arrived and hands on every frame it completes, in order. Throws `FrameError` as soon as a header
   * announces more than the bound, and at a payload that is not what its checksum says.
   */
  push(chunk: Buffer): void;
}

/**
 * Pieces of an unfinished frame are kept as they came and joined once, when the last one is there: the work is linear
 * in the bytes, however they are split. Invariant: `held` is the sum of the lengths of `pieces`, and below `needed`.
 */
export function createFrameParser(frameBytesMax: number, onFrame: (frame: Buffer) => void): FrameParser {
  let pieces: Buffer[] = [];
  let held = 0;
  let needed = FRAME_HEADER_BYTES;

  /** Hands on the complete frames of `buffer` and keeps the rest. */
  function take(buffer: Buffer): void {
    let offset = 0;
    pieces = [];
    held = 0;
    for (;;) {
      const left = buffer.length - offset;
      needed = FRAME_HEADER_BYTES;
      if (left >= FRAME_HEADER_BYTES) {
        const length = buffer.readUInt32BE(offset);
        if (length > frameBytesMax) {
          throw new FrameError(`a frame of ${length} bytes; at most ${frameBytesMax} are taken`);
        }
        needed = FRAME_HEADER_BYTES + length;
      }
      if (left < needed) break;
      const frame = buffer.subarray(offset + FRAME_HEADER_BYTES, offset + needed);
      if (crc32(frame) !== buffer.readUInt32BE(offset + 4)) {
        throw new FrameError('a frame was damaged on its way: its checksum does not match');
      }
      offset += needed;
      onFrame(frame);
    }
    if (offset < buffer.length) {
      pieces.push(buffer.subarray(offset));
      held = buffer.length - offset;
    }
  }

  return {
    push(chunk) {
      if (held === 0) {
        take(chunk);
        return;
      }
      pieces.push(chunk);
      held += chunk.length;
      if (held >= needed) take(Buffer.concat(pieces, held));
    },
  };
}

/** One buffer with all of `texts` framed, in order. `lengths` are their lengths in UTF-8, `total` the sum of those. */
export function encodeFrames(texts: readonly string[], lengths: readonly number[], total: number): Buffer {
  const buffer = Buffer.allocUnsafe(total + texts.length * FRAME_HEADER_BYTES);
  let offset = 0;
  for (const [i, text] of texts.entries()) {
    const length = lengths[i] ?? 0;
    const start = offset + FRAME_HEADER_BYTES;
    const end = start + length;
    buffer.write(text, start, 'utf8');
    buffer.writeUInt32BE(length, offset);
    buffer.writeUInt32BE(crc32(buffer.subarray(start, end)), offset + 4);
    offset = end;
  }
  return buffer;
}
