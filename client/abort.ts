/** Listening to the end of a signal. */

import type { AbortSignalLike } from './options.js';

interface Watched {
  readonly listeners: Set<() => void>;
  readonly fire: () => void;
}

const watched = new WeakMap<AbortSignalLike, Watched>();

/**
 * Calls back once the signal is aborted; at once when it is already. Returns how to stop listening. All calls share one
 * listener on the signal: with one each, Node.js would warn of a leak at the eleventh call under way.
 */
export function onAbort(signal: AbortSignalLike, listener: () => void): () => void {
  // A signal that is aborted already fires no event any more.
  if (signal.aborted) {
    listener();
    return () => undefined;
  }
  const entry = watched.get(signal) ?? watch(signal);
  entry.listeners.add(listener);
  return () => {
    entry.listeners.delete(listener);
    if (entry.listeners.size > 0) return;
    signal.removeEventListener('abort', entry.fire);
    watched.delete(signal);
  };
}

function watch(signal: AbortSignalLike): Watched {
  const listeners = new Set<() => void>();
  const fire = () => {
    for (const listener of [...listeners]) listener();
  };
  const entry = { listeners, fire };
  signal.addEventListener('abort', fire);
  watched.set(signal, entry);
  return entry;
}
