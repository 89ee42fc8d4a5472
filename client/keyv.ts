/** A store for Keyv: `new Keyv({ store: new KeyvQuorum('http://localhost:8080') })`. */

import { EventEmitter } from 'node:events';
import { KVClient } from './client.js';
import { TooLargeError } from './errors.js';
import type { KVClientOptions } from './options.js';

/** All entries of Keyv begin with this, unless another prefix is given. */
const PREFIX_DEFAULT = 'keyv/';

/** Keys deleted at a time, where there are too many for one write. */
const CLEAR_KEYS = 256;

/** Options of the store, beside those of the client. */
export interface KeyvQuorumOptions extends Omit<KVClientOptions, 'codec'> {
  /** Before all keys: `clear` touches nothing else. Not empty. Default: `keyv/`. */
  prefix?: string | undefined;
}

/**
 * Keeps what Keyv stores in quorumkv, namespaces and times to live included; an expired entry is gone by itself. Errors
 * reject with a `KVError`, which Keyv emits as its `error` event.
 */
export class KeyvQuorum extends EventEmitter {
  /** Keyv reads this. It gives its iterator only to the dialects that it knows, of which this is the nearest. */
  readonly opts: { readonly dialect: 'etcd'; readonly url: string };
  /** Set by Keyv, which puts it before the keys. */
  namespace?: string | undefined;
  readonly #client: KVClient;
  readonly #entries: KVClient;

  /**
   * @param endpoints one or more nodes, or an object of options.
   * @throws {InvalidArgumentError} names the option at fault.
   */
  constructor(endpoints: string | readonly string[] | KeyvQuorumOptions) {
    super();
    const { prefix = PREFIX_DEFAULT, ...options } = isOptions(endpoints) ? endpoints : { endpoints };
    this.#client = new KVClient(options);
    this.#entries = this.#client.namespace(prefix);
    this.opts = { dialect: 'etcd', url: String(options.endpoints) };
  }

  /** What Keyv has stored; undefined when there is none. */
  async get<Value>(key: string): Promise<Value | undefined> {
    try {
      return (await this.#entries.get(key)) as Value | undefined;
    } catch (error) {
      // Keyv takes this one for a missing key and says nothing, unless it is to throw.
      if (this.listenerCount('error') > 0) this.emit('error', error);
      throw error;
    }
  }

  /** The same for several keys, in one round trip. */
  async getMany<Value>(keys: string[]): Promise<(Value | undefined)[]> {
    return (await this.#entries.getMany(keys)) as (Value | undefined)[];
  }

  /** Stores it; `ttl` in milliseconds. */
  async set(key: string, value: string, ttl?: number): Promise<void> {
    await this.#entries.set(key, value, typeof ttl === 'number' && ttl > 0 ? { ttlMs: Math.ceil(ttl) } : {});
  }

  /** Stores several. They share round trips, and each is a write of its own. */
  async setMany(entries: { key: string; value: string; ttl?: number }[]): Promise<void> {
    await Promise.all(entries.map(({ key, value, ttl }) => this.set(key, value, ttl)));
  }

  /** True when it existed. */
  async delete(key: string): Promise<boolean> {
    return this.#entries.delete(key);
  }

  /** True when all of them existed. */
  async deleteMany(keys: string[]): Promise<boolean> {
    return (await Promise.all(keys.map((key) => this.#entries.delete(key)))).every(Boolean);
  }

  /** Whether it exists. */
  async has(key: string): Promise<boolean> {
    return this.#entries.has(key);
  }

  /** The same for several keys. */
  async hasMany(keys: string[]): Promise<boolean[]> {
    return (await this.#entries.getMany(keys)).map((value) => value !== undefined);
  }

  /** Deletes all that is in the namespace; without one, all that Keyv has stored under this prefix. */
  async clear(): Promise<void> {
    const prefix = this.namespace === undefined ? '' : `${this.namespace}:`;
    try {
      await this.#entries.deletePrefix(prefix);
    } catch (error) {
      if (!(error instanceof TooLargeError)) throw error;
      await this.#clearSlowly(prefix);
    }
  }

  /** Keys and values, in the order of the keys' bytes. */
  async *iterator<Value>(namespace?: string): AsyncGenerator<[string, Value | undefined], void> {
    const prefix = namespace === undefined ? '' : `${namespace}:`;
    for await (const { key, value } of this.#entries.list({ prefix })) yield [key, value as Value];
  }

  /** Closes the connections. */
  async disconnect(): Promise<void> {
    await this.#client.close();
  }

  /** More keys than one write may delete: that is no promise of `clear`. */
  async #clearSlowly(prefix: string): Promise<void> {
    let keys: string[] = [];
    const remove = async () => {
      await Promise.all(keys.map((key) => this.#entries.delete(key)));
      keys = [];
    };
    for await (const { key } of this.#entries.list({ prefix })) {
      keys.push(key);
      if (keys.length === CLEAR_KEYS) await remove();
    }
    await remove();
  }
}

function isOptions(argument: string | readonly string[] | KeyvQuorumOptions): argument is KeyvQuorumOptions {
  return typeof argument === 'object' && !Array.isArray(argument);
}
