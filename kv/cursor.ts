/** Reads the fields of an encoded command one after the other; strict, so that every node reads the same or nothing. */

import { isUtf8 } from 'node:buffer';
import { KEY_BYTES_MAX } from './command.js';
import { INTEGER_BYTES, readInteger } from './integers.js';

/** The bytes are no command; whoever sent them is told, and nothing is proposed. */
export class CommandFormatError extends Error {
  override readonly name = 'CommandFormatError';
}

/** Every method throws when the bytes end before its field does. */
export class Cursor {
  readonly #input: Buffer;
  #at: number;

  constructor(input: Buffer, at: number) {
    this.#input = input;
    this.#at = at;
  }

  /** Bytes that are not read yet. */
  get left(): number {
    return this.#input.length - this.#at;
  }

  uint8(): number {
    return this.#input.readUInt8(this.#skip(1));
  }

  uint16(): number {
    return this.#input.readUInt16BE(this.#skip(2));
  }

  uint32(): number {
    return this.#input.readUInt32BE(this.#skip(4));
  }

  /** Of eight bytes. */
  integer(): number {
    if (this.left < INTEGER_BYTES) throw new CommandFormatError('a command ends within a number');
    const integer = readInteger(this.#input, this.#skip(INTEGER_BYTES));
    if (integer > Number.MAX_SAFE_INTEGER) throw new CommandFormatError(`${integer} is beyond 2^53`);
    return integer;
  }

  /** A byte in which no other bit than those of `known` is set. */
  flags(known: number): number {
    const flags = this.uint8();
    if ((flags & ~known) !== 0) throw new CommandFormatError(`flags ${flags} are not known here`);
    return flags;
  }

  /** Shares memory with the command. */
  bytes(length: number): Buffer {
    if (length > this.left) throw new CommandFormatError('a command ends within its bytes');
    const at = this.#skip(length);
    return this.#input.subarray(at, at + length);
  }

  rest(): Buffer {
    return this.bytes(this.left);
  }

  key(): string {
    const length = this.uint16();
    if (length === 0 || length > KEY_BYTES_MAX) throw new CommandFormatError(`a key has ${length} bytes`);
    if (length > this.left) throw new CommandFormatError('a command ends within its key');
    const bytes = this.bytes(length);
    if (!isUtf8(bytes)) throw new CommandFormatError('a key is not UTF-8');
    return bytes.toString('utf8');
  }

  /** `what` is at its end. */
  end(what: string): void {
    if (this.left > 0) throw new CommandFormatError(`${what} goes on behind its end`);
  }

  #skip(length: number): number {
    const at = this.#at;
    this.#at += length;
    return at;
  }
}
