/** What is measured: the workloads, the keys and values they carry, and the requests that they are made of. */

import { randomBytes } from 'node:crypto';

/** `sdk-…`: through the SDK, in one process; the peer has the same work by its HTTP gateway. */
export const WORKLOADS = ['put', 'get', 'lease', 'stale', 'mix', 'sdk-put', 'sdk-get'] as const;

export type Workload = (typeof WORKLOADS)[number];

/** In a table's words. */
export const TITLES: Readonly<Record<Workload, string>> = Object.freeze({
  put: 'put',
  get: 'linearizable get',
  lease: 'lease get',
  stale: 'stale get',
  mix: 'mix, 90 % get, 10 % put',
  'sdk-put': 'set through the SDK',
  'sdk-get': 'get through the SDK',
});

/** How many of 100 requests are reads. */
export const READ_PERCENT: Readonly<Record<Workload, number>> = Object.freeze({
  put: 0,
  get: 100,
  lease: 100,
  stale: 100,
  mix: 90,
  'sdk-put': 0,
  'sdk-get': 100,
});

export interface Data {
  /** Keys are drawn from so many, all with the same chance. */
  readonly keys: number;
  /** The value of every key, which is therefore that of every answer. */
  readonly value: string;
}

/** `KEY_MARK` stands for the key. */
export interface RequestForm {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: string;
}

/** As long as a key, so that a template has the length of what is made from it. */
export const KEY_CHARS = 12;
export const KEY_MARK = '~'.repeat(KEY_CHARS);

/** Characters that need no escape in JSON, and don't compress to nothing. */
export function randomValue(bytes: number): string {
  return randomBytes(bytes).toString('base64url').slice(0, bytes);
}

export function keyAt(index: number): string {
  return `key-${String(index).padStart(KEY_CHARS - 4, '0')}`;
}

export function randomKey({ keys }: Data): string {
  return keyAt(Math.floor(Math.random() * keys));
}
