/** What is measured: the requests, and the keys and values they carry. The same in `load.lua`, for wrk. */

import { randomBytes } from 'node:crypto';
import { PATHS } from '../api/paths.js';

export const WORKLOADS = ['put', 'get'] as const;

export type Workload = (typeof WORKLOADS)[number];

/** In a table's words. */
export const TITLES: Readonly<Record<Workload, string>> = Object.freeze({
  put: 'write',
  get: 'linearizable read',
});

export interface Data {
  /** Keys are drawn from so many, all with the same chance. */
  readonly keys: number;
  /** The value of every write. */
  readonly value: string;
}

export interface LoadRequest {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: string;
}

/** Characters that need no escape in JSON, and don't compress to nothing. */
export function randomValue(bytes: number): string {
  return randomBytes(bytes).toString('base64url').slice(0, bytes);
}

export function keyAt(index: number): string {
  return `key-${String(index).padStart(8, '0')}`;
}

export function putRequest(key: string, { value }: Data): LoadRequest {
  return { method: 'POST', path: PATHS.set, body: JSON.stringify({ key, value }) };
}

export function randomRequest(workload: Workload, data: Data): LoadRequest {
  const key = keyAt(Math.floor(Math.random() * data.keys));
  switch (workload) {
    case 'put':
      return putRequest(key, data);
    case 'get':
      return { method: 'GET', path: `${PATHS.get}?key=${key}` };
  }
}
