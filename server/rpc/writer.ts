/** Gathers frames and writes them together, once a turn of the event loop: one system call for all of them. */

import type { Socket } from 'node:net';
import { encodeFrames, FRAME_HEADER_BYTES } from './frames.js';

export interface FrameWriter {
  /** Queues one frame. When it can't be: says why, and nothing was queued. */
  write(text: string): string | undefined;
  /** Hands what is gathered to the socket at once. */
  flush(): void;
}

export function createFrameWriter(
  socket: Socket,
  limits: { readonly frameBytesMax: number; readonly queueBytesMax: number },
): FrameWriter {
  let texts: string[] = [];
  let lengths: number[] = [];
  let total = 0;

  function flush(): void {
    if (texts.length === 0) return;
    const buffer = encodeFrames(texts, lengths, total);
    texts = [];
    lengths = [];
    total = 0;
    if (socket.writable) socket.write(buffer);
  }

  return {
    flush,
    write(text) {
      const length = Buffer.byteLength(text);
      if (length > limits.frameBytesMax) {
        return `a message of ${length} bytes; a frame holds at most ${limits.frameBytesMax}`;
      }
      // `writableLength` is what the kernel has not taken yet, because the other side does not read.
      const queued = socket.writableLength + total + texts.length * FRAME_HEADER_BYTES;
      if (queued + length + FRAME_HEADER_BYTES > limits.queueBytesMax) {
        return `${queued} bytes wait to be read by the other side`;
      }
      if (texts.length === 0) setImmediate(flush);
      texts.push(text);
      lengths.push(length);
      total += length;
      return undefined;
    },
  };
}
