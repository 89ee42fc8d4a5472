/** How values become bytes and come back. */

import { invalidArgument } from './errors.js';

/** Turns values of type `V` into the bytes that the store keeps, and back. */
export interface Codec<V> {
  /** The bytes of a value; a string stands for its UTF-8 bytes. May throw: the call is then refused, unsent. */
  encode(value: V): string | Uint8Array;
  /** The value of these bytes. May throw: the read then rejects with an `InternalError` (`bad-response`). */
  decode(bytes: Uint8Array): V;
}

const LONE_SURROGATE = /\p{Surrogate}/u;

// `ignoreBOM` keeps a leading U+FEFF: without it a value would not come back as it was written.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

const string: Codec<string> = {
  encode(value: unknown) {
    if (typeof value !== 'string') {
      throw invalidArgument(
        'value',
        `value must be a string, not ${nameOfType(value)}; give the client another codec for other values`,
      );
    }
    // UTF-8 has no form for it: it would come back as U+FFFD.
    if (LONE_SURROGATE.test(value)) {
      throw invalidArgument(
        'value',
        'value must not contain a lone surrogate; use codecs.bytes for raw bytes',
      );
    }
    return value;
  },
  decode(bytes) {
    try {
      return utf8.decode(bytes);
    } catch (error) {
      throw new Error('the value is not UTF-8; read it with codecs.bytes', { cause: error });
    }
  },
};

const bytes: Codec<Uint8Array> = {
  encode(value: unknown) {
    if (!(value instanceof Uint8Array)) {
      throw invalidArgument('value', `value must be a Uint8Array, not ${nameOfType(value)}`);
    }
    return value;
  },
  decode: (value) => value,
};

/** The codecs that come with the client. */
export const codecs = Object.freeze({
  /** Strings, kept as UTF-8: the default. Reading a value that is not UTF-8 rejects. */
  string: Object.freeze(string),
  /** Raw bytes. A `Buffer` is fine to write; a plain `Uint8Array` comes back. */
  bytes: Object.freeze(bytes),
  /** Any JSON value, kept as its JSON text. `V` is what you expect to read back; it is not checked. */
  json<V = unknown>(): Codec<V> {
    return {
      encode(value) {
        const text: unknown = JSON.stringify(value);
        if (typeof text !== 'string') {
          throw invalidArgument('value', `value must be a JSON value, not ${nameOfType(value)}`);
        }
        return text;
      },
      decode: (value) => JSON.parse(utf8.decode(value)) as V,
    };
  },
});

/** The value of this text, where that is the text itself: without the way over its bytes. Undefined: take that way. */
export function decodeText<V>(codec: Codec<V>, text: string): V | undefined {
  // Compared as what they are: `V` is the string here.
  const isText: boolean = (codec as unknown) === codecs.string && !LONE_SURROGATE.test(text);
  return isText ? (text as V) : undefined;
}

function nameOfType(value: unknown): string {
  return value === null ? 'null' : typeof value;
}
