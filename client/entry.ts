/** An entry as it is stored now. */
export interface KVEntry<V = string> {
  /** In a namespace, without its prefix. */
  readonly key: string;
  /** As the codec read it. */
  readonly value: V;
  /** Of the write that set this value: a decimal string, larger for every later write. For `ifRevision`. */
  readonly revision: string;
  /** Milliseconds until it expires; absent when it does not. */
  readonly ttlMs?: number;
}
