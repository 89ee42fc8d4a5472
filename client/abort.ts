/** Listening to the end of a signal. */

import type { AbortSignalLike } from './options.js';
import { Slots, type Slotted } from './slots.js';

interface Listening extends Slotted {
  readonly listener: () => void;
}

interface Watched {
  readonly listeners: Slots<Listening>;
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
  const listening: Listening = { listener, slot: undefined };
  entry.listeners.add(listening);
  return () => {
    entry.listeners.delete(listening);
    if (entry.listeners.size > 0) return;
    signal.removeEventListener('abort', entry.fire);
    watched.delete(signal);
  };
}

function watch(signal: AbortSignalLike): Watched {
  const listeners = new Slots<Listening>();
  const fire = () => {
    for (const { listener } of listeners.values().slice()) listener();
  };
  const entry = { listeners, fire };
  signal.addEventListener('abort', fire);
  watched.set(signal, entry);
  return entry;
}
