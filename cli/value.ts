/** Values as the command line handles them: text when they are UTF-8, else bytes. */

import { codecs, type Codec } from 'quorumkv-client';
import type { WireValue } from '../api/types.js';

export type Value = string | Uint8Array;

/** Keeps every byte: what is not UTF-8 stays bytes. */
export const valueCodec: Codec<Value> = {
  encode: (value) => (typeof value === 'string' ? codecs.string.encode(value) : value),
  decode(bytes) {
    try {
      return codecs.string.decode(bytes);
    } catch {
      return bytes;
    }
  },
};

/** The fields of JSON that carry a value: the same as those of the HTTP interface. */
export function wireValue(value: Value): WireValue {
  return typeof value === 'string' ? { value } : { valueBase64: Buffer.from(value).toString('base64') };
}
