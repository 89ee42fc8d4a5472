/**
 * Several writes as one entry of the log: what waits for the disk together is one record, one message and one revision. Header, as every
 * command's, then the writes: length (4), and the write without its stamp. A key comes once, so that every write of it has a revision of its own.
 */

import type { Command, Write } from './command.js';
import {
  HEADER_BYTES,
  SHARED_OP,
  STAMP_BYTES,
  decodeCommand,
  decodeWrite,
  decoded,
  header,
  isWriteOp,
} from './codec.js';
import { CommandFormatError, Cursor } from './cursor.js';

const LENGTH_BYTES = 4;
/** Of a write, before what `decodeWrite` reads: its format and op. */
const PREFIX_BYTES = HEADER_BYTES - STAMP_BYTES;

/** Bytes that an encoded write takes in a shared entry. */
export function sharedBytesOf(write: Uint8Array): number {
  return LENGTH_BYTES + write.length - STAMP_BYTES;
}

/** Of what `encodeCommand` made of at least two writes with different keys. The stamp is not written yet. */
export function encodeShared(writes: readonly Uint8Array[]): Buffer {
  const bytes = writes.reduce((sum, write) => sum + sharedBytesOf(write), HEADER_BYTES);
  const out = header(bytes, SHARED_OP);
  let at = HEADER_BYTES;
  for (const write of writes) {
    at = out.writeUInt32BE(write.length - STAMP_BYTES, at);
    out.set(write.subarray(STAMP_BYTES), at);
    at += write.length - STAMP_BYTES;
  }
  return out;
}

/** The commands of an entry, in order. Throws `CommandFormatError`. Values share memory with `bytes`. */
export function commandsOf(bytes: Uint8Array): readonly Command[] {
  return bytes[STAMP_BYTES + 1] === SHARED_OP ? decoded(bytes, decodeShared) : [decodeCommand(bytes)];
}

function decodeShared(input: Buffer): readonly Write[] {
  const writes: Write[] = [];
  const keys = new Set<string>();
  const cursor = new Cursor(input, HEADER_BYTES);
  const format = input[STAMP_BYTES];
  while (cursor.left > 0) {
    const part = cursor.bytes(cursor.uint32());
    const op = part.readUInt8(1);
    if (part[0] !== format) throw new CommandFormatError('a write of a shared entry has another format');
    if (!isWriteOp(op))
      throw new CommandFormatError(`command ${part.readUInt8(1)} shares its entry with no other`);
    const write = decodeWrite(new Cursor(part, PREFIX_BYTES), op);
    if (keys.has(write.key)) throw new CommandFormatError('a key comes twice in a shared entry');
    keys.add(write.key);
    writes.push(write);
  }
  if (writes.length < 2) throw new CommandFormatError(`${writes.length} writes share an entry`);
  return writes;
}
