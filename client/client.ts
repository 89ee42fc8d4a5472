/// <reference lib="esnext.disposable" preserve="true" />

import { PATHS } from '../api/paths.js';
import { createAtomic } from './atomic.js';
import { createCluster } from './cluster.js';
import type { KVEntry } from './entry.js';
import type { Answer } from './failure.js';
import { listEntries } from './list.js';
import { acquire } from './lock.js';
import { deleteOperation, getOperation, setOperation } from './operations.js';
import {
  checkOptions,
  settingsOf,
  type CallOptions,
  type DeleteOptions,
  type KVClientOptions,
  type ListOptions,
  type LockOptions,
  type ReadOptions,
  type SetOptions,
  type WatchOptions,
} from './options.js';
import { checkKeys, entryOf, fullKey, numberOf } from './request.js';
import type { Atomic, Cluster, Lock, WatchEvent } from './surface.js';
import { View } from './view.js';
import { watch } from './watch.js';

/**
 * A client of one quorumkv cluster. It finds the leader and stays with it, fails over to other nodes by itself, and
 * keeps its connections alive: make one and share it. Everything rejects with a `KVError`, and with nothing else.
 *
 * A call is repeated by itself, within its time, on whatever may pass. A write is applied once all the same, however
 * often it is sent: each carries its number in a session of this client (thesis §6.3), which the first write opens and
 * which expires by itself (by default after 10 minutes without a write; the next one opens another). An error whose
 * `outcome` is `unknown` says that time ran out, or the session expired, before a sent write was confirmed.
 *
 * @example
 * ```ts
 * const store = new KVClient(['http://localhost:8080', 'http://localhost:8090']);
 * await store.set('colour', 'blue', { ifAbsent: true });
 * console.log(await store.get('colour')); // blue
 * console.log(await store.delete('colour')); // true
 * await store.close();
 * ```
 *
 * @typeParam V the type of the values: `string`, or that of the `codec`.
 */
export class KVClient<V = string> implements AsyncDisposable {
  /** Calls about the cluster itself. */
  readonly cluster: Cluster;
  readonly #view: View<V>;

  /**
   * Connects to nothing yet: the first call does.
   *
   * @param endpoints one or more nodes (`http://host:port` or `host:port`), or an object of options.
   * @throws {InvalidArgumentError} names the option at fault.
   */
  constructor(endpoints: string | readonly string[] | KVClientOptions<V>) {
    this.#view = View.isView(endpoints) ? endpoints : View.root(settingsOf(endpoints));
    this.cluster = createCluster(this.#view);
  }

  /** The value of a key; undefined when there is no such key. */
  get(key: string, options: ReadOptions = {}): Promise<V | undefined> {
    return this.#read(key, options, this.#view.settings.autoPipeline, (entry) => entry?.value);
  }

  /** The value of a key with its revision; undefined when there is no such key. */
  getEntry(key: string, options: ReadOptions = {}): Promise<KVEntry<V> | undefined> {
    return this.#read(key, options, this.#view.settings.autoPipeline, (entry) => entry);
  }

  /**
   * The values of several keys, in their order; undefined where there is no such key. They come in one round trip (up
   * to 256 keys each), and each is a read of its own: writes may happen in between.
   */
  async getMany(keys: readonly string[], options: ReadOptions = {}): Promise<(V | undefined)[]> {
    checkKeys(keys);
    return Promise.all(keys.map((key) => this.#read(key, options, true, (entry) => entry?.value)));
  }

  /** Whether there is such a key. */
  has(key: string, options: ReadOptions = {}): Promise<boolean> {
    const { autoPipeline } = this.#view.settings;
    return this.#view.begin(
      () => getOperation(this.#view, key, options, autoPipeline, ({ kind }) => kind === 'ok'),
      options,
    );
  }

  /**
   * Sets the value of a key. Resolves once a majority has it on disk.
   *
   * @throws {ConflictError} `ifAbsent` or `ifRevision` does not hold; nothing was changed.
   */
  set(key: string, value: V, options: SetOptions = {}): Promise<{ revision: string }> {
    return this.#view.begin(
      () => setOperation(this.#view, key, value, options, this.#view.settings.autoPipeline),
      options,
    );
  }

  /**
   * Deletes a key. True when it existed.
   *
   * @throws {ConflictError} `ifRevision` does not hold; nothing was changed.
   */
  delete(key: string, options: DeleteOptions = {}): Promise<boolean> {
    return this.#view.begin(
      () => deleteOperation(this.#view, key, options, this.#view.settings.autoPipeline),
      options,
    );
  }

  /**
   * Deletes all keys that begin so, atomically; resolves to how many there were. In a namespace the prefix may be empty,
   * for all that is in it.
   */
  async deletePrefix(prefix: string, options: CallOptions = {}): Promise<number> {
    checkOptions('plain', options);
    const inside = this.#view.prefix;
    const full = prefix === '' && inside !== '' ? inside : fullKey(inside, prefix, 'prefix');
    return this.#view.call(
      {
        isWrite: true,
        route: 'leader',
        method: 'DELETE',
        path: `${PATHS.kv}?${new URLSearchParams({ prefix: full }).toString()}`,
        read: (answer) => numberOf(answer, 'deleted'),
      },
      options,
    );
  }

  /**
   * The entries in the order of their keys' bytes, fetched page by page. Each page is a read of its own: entries that
   * are written meanwhile may or may not be among them. `timeoutMs` holds for one page. A `stale` listing stays with
   * one node while that answers.
   */
  list(options: ListOptions = {}): AsyncIterableIterator<KVEntry<V>> {
    return listEntries(this.#view, options);
  }

  /** A transaction: checks and writes that take effect together or not at all. */
  atomic(): Atomic<V> {
    return createAtomic(this.#view);
  }

  /**
   * Follows the changes of a key, or of all keys that begin with a prefix: those after this call, or from
   * `fromRevision` on. Goes on over the loss of nodes and leaders, without a gap or a repeat, for as long as it takes.
   * Events wait in the server while you work on one; whoever falls behind its history gets a `CompactedError`.
   * Break out of the loop to end it, or abort its signal, also while it waits.
   *
   * @throws {CompactedError} `fromRevision`, or where it broke off, is no longer in the server's history.
   */
  watch(
    what: { key: string } | { prefix: string },
    options: WatchOptions = {},
  ): AsyncIterableIterator<WatchEvent<V>> {
    return watch(this.#view, what, options);
  }

  /**
   * Takes a lock: a key that this call alone sets, and that expires unless it is kept alive, which happens by itself.
   * Waits while somebody else holds it.
   *
   * @throws {ConflictError} somebody else held it for the whole of `waitMs`.
   */
  async lock(key: string, options: LockOptions = {}): Promise<Lock> {
    return acquire(this.#view, key, options);
  }

  /**
   * The keys that begin with this, under their names without it: everything goes in there and comes from there. It
   * shares connections and session with this client.
   *
   * @throws {InvalidArgumentError} the prefix is empty, or too long for a key.
   */
  namespace(prefix: string): KVClient<V> {
    fullKey(this.#view.prefix, prefix, 'prefix');
    return new KVClient(this.#view.within(prefix));
  }

  /**
   * Calls under way reject with a `ClosedError`, and so does every later one; those of namespaces in it, too. The
   * connections are closed with the client that was constructed, not with a namespace of it. The session is left to
   * expire by itself.
   */
  close(): Promise<void> {
    this.#view.close();
    return Promise.resolve();
  }

  /** The same as `close`, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #read<T>(
    key: string,
    options: ReadOptions,
    isPiped: boolean,
    part: (entry: KVEntry<V> | undefined) => T,
  ): Promise<T> {
    const { codec, prefix } = this.#view;
    const read = (answer: Answer): T =>
      part(answer.kind === 'ok' ? entryOf(codec, prefix, answer.body) : undefined);
    return this.#view.begin(() => getOperation(this.#view, key, options, isPiped, read), options);
  }
}
