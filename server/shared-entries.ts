/**
 * Commands on their way into the log. While the disk writes, nothing new can be handed to it anyway: what is proposed meanwhile waits here,
 * and becomes few entries, each of several writes (`docs/decisions/0057`).
 */

import { keyIdOf, writeStamp } from '../kv/codec.js';
import { encodeShared, sharedBytesOf } from '../kv/shared.js';
import type { ProposalOutcome } from './waiters.js';

/** Of one shared entry: applying it takes one turn of the event loop. */
export const SHARED_BYTES_MAX = 128 * 1024;
export const SHARED_WRITES_MAX = 512;

export type Settle = (outcome: ProposalOutcome) => void;

interface Waiting {
  readonly command: Uint8Array;
  readonly settle: Settle;
}

/** What becomes one entry, and who waits for the result of each of its commands. */
export interface GatheredEntry {
  readonly data: Buffer;
  readonly settles: readonly Settle[];
}

export class SharedEntries {
  #waiting: Waiting[] = [];
  #bytes = 0;
  #sinceMs = 0;

  get size(): number {
    return this.#waiting.length;
  }

  /** Of the commands that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Since when the first of them waits. */
  get sinceMs(): number {
    return this.#sinceMs;
  }

  add(command: Uint8Array, settle: Settle, nowMs: number): void {
    if (this.#waiting.length === 0) this.#sinceMs = nowMs;
    this.#waiting.push({ command, settle });
    this.#bytes += command.length;
  }

  /** All that wait, in order, as entries of `logTimeMs`. */
  take(logTimeMs: number): GatheredEntry[] {
    return cut(this.#takeAll()).map((group) => entryOf(group, logTimeMs));
  }

  /** None of them is in the log, nor will be. */
  refuse(outcome: ProposalOutcome & { readonly status: 'refused' }): void {
    for (const { settle } of this.#takeAll()) settle(outcome);
  }

  #takeAll(): readonly Waiting[] {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#bytes = 0;
    return waiting;
  }
}

/** In order; a key comes once in a group, and a command that is no write of a key has one for itself. */
function cut(waiting: readonly Waiting[]): Waiting[][] {
  const groups: Waiting[][] = [];
  let group: Waiting[] = [];
  let keys = new Set<string>();
  let bytes = 0;
  for (const one of waiting) {
    const key = keyIdOf(one.command);
    const isFull = group.length >= SHARED_WRITES_MAX || bytes + sharedBytesOf(one.command) > SHARED_BYTES_MAX;
    if (group.length === 0 || key === undefined || isFull || keys.size === 0 || keys.has(key)) {
      group = [];
      groups.push(group);
      keys = new Set();
      bytes = 0;
    }
    group.push(one);
    bytes += sharedBytesOf(one.command);
    if (key !== undefined) keys.add(key);
  }
  return groups;
}

function entryOf(group: readonly Waiting[], logTimeMs: number): GatheredEntry {
  const commands = group.map(({ command }) => command);
  const [only] = commands;
  // A copy: the same bytes may be in the log already, under an earlier stamp.
  const data = only !== undefined && commands.length === 1 ? Buffer.from(only) : encodeShared(commands);
  writeStamp(data, logTimeMs);
  return { data, settles: group.map(({ settle }) => settle) };
}
