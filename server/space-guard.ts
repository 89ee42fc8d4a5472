/**
 * Whether there is room for more data: a quota on what the store holds, and a reserve of free space on the disk. The leader asks before it
 * proposes; what was proposed is applied, whatever there is. Both are looked at from time to time, not with every
 * request, so that the quota may be passed by what is written in between.
 */

import type { Command } from '../kv/command.js';
import { DATA_BYTES_ROW, decodeCount } from '../kv/rows.js';
import type { StateStore } from '../persistence/state-store.js';
import type { Node } from './node.js';
import type { Clock } from './ports.js';

const LOOK_EVERY_MS = 200;

export interface SpaceGuardOptions {
  readonly node: Pick<Node, 'isStopped'>;
  readonly store: Pick<StateStore, 'getMany'>;
  readonly clock: Pick<Clock, 'every'>;
  readonly limits: {
    /** Bytes of keys and values together, at most; 0: as many as there may be. */
    readonly dataBytes: number;
    /** Bytes that stay free on the disk; 0: none. */
    readonly freeBytes: number;
  };
  /** Bytes that are free on the disk of the data; rejects when it can't be told. */
  readonly diskFreeBytes: () => Promise<number>;
  /** It can't be told; called once in a row. */
  readonly unknown: (error: unknown) => void;
}

export class SpaceGuard {
  readonly #options: SpaceGuardOptions;
  #dataBytes = 0;
  #freeBytes = Infinity;
  #asking = false;
  #isKnown = true;

  constructor(options: SpaceGuardOptions) {
    this.#options = options;
  }

  /** Looks now and from then on; the result ends it. */
  start(): () => void {
    this.#look();
    return this.#options.clock.every(LOOK_EVERY_MS, () => this.#look());
  }

  /** True for a command that stores something where there is no room for it. Whatever makes room is never refused. */
  refuses(command: Command): boolean {
    const bytes = bytesStored(command);
    if (bytes === 0) return false;
    const { limits } = this.#options;
    if (limits.dataBytes > 0 && this.#dataBytes + bytes > limits.dataBytes) return true;
    return this.#freeBytes < limits.freeBytes;
  }

  #look(): void {
    const { node, store, limits } = this.#options;
    if (node.isStopped) return;
    if (limits.dataBytes > 0)
      store.getMany([DATA_BYTES_ROW], ([bytes]) => void (this.#dataBytes = decodeCount(bytes)));
    if (limits.freeBytes > 0 && !this.#asking) void this.#lookAtDisk();
  }

  async #lookAtDisk(): Promise<void> {
    const { diskFreeBytes, unknown } = this.#options;
    this.#asking = true;
    try {
      this.#freeBytes = await diskFreeBytes();
      this.#isKnown = true;
    } catch (error) {
      if (this.#isKnown) unknown(error);
      this.#isKnown = false;
    } finally {
      this.#asking = false;
    }
  }
}

/** Of keys and values that the command sets. */
function bytesStored(command: Command): number {
  switch (command.op) {
    case 'set':
      return Buffer.byteLength(command.key) + command.value.length;
    case 'txn':
      return command.ops.reduce(
        (sum, op) => (op.op === 'set' ? sum + Buffer.byteLength(op.key) + op.value.length : sum),
        0,
      );
    default:
      return 0;
  }
}
