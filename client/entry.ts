/** An entry as it is stored now. */
export interface KVEntry<V = string> {
  readonly key: string;
  readonly value: V;
  /** Of the write that set this value: a decimal string, larger for every later write. For `ifRevision`. */
  readonly revision: string;
  /** Milliseconds until it expires; absent when it does not. */
  readonly ttlMs?: number;
}
