/** Locks: a key that its holder alone has set, kept alive while it is held. */

import { randomUUID } from 'node:crypto';
import { onAbort } from './abort.js';
import { codecs } from './codec.js';
import { ConflictError, createError, KVError, invalidArgument } from './errors.js';
import { hold } from './lease.js';
import { deleteOperation, getOperation, setOperation } from './operations.js';
import { checkOptions, duration, type LockOptions } from './options.js';
import { entryOf } from './request.js';
import type { Lock } from './surface.js';
import type { View } from './view.js';
import { sleep } from './wait.js';
import { watch } from './watch.js';

const TTL_MS_DEFAULT = 10_000;
/** Below, a round trip and a hiccup of the event loop would cost the lock. */
const TTL_MS_MIN = 100;

/** Between looks at a lock that somebody else holds: at most so long, and while a watch tells when it is free. */
const POLL_MS_MIN = 25;
const POLL_MS_MAX = 500;
const POLL_MS_WATCHED = 5_000;

/** The writes and reads of one lock. They never share a round trip: a lock must not wait in line behind other calls. */
export interface Slot {
  readonly key: string;
  readonly owner: string;
  readonly ttlMs: number;
  /** Sets it, anew or again; resolves to its revision. */
  write(condition: { ifAbsent: true } | { ifRevision: string }, limits: LockLimits): Promise<string>;
  /** The revision of this lock in the store; undefined when it is not there, or somebody else's. */
  read(limits: LockLimits): Promise<string | undefined>;
  /** Throws a `ConflictError` when the key has another revision now. */
  remove(revision: string): Promise<boolean>;
  /** Calls back when the client closes. Returns how to stop listening. */
  onClose(listener: () => void): () => void;
}

export interface LockLimits {
  readonly timeoutMs?: number | undefined;
  readonly signal?: LockOptions['signal'];
}

const now = () => performance.now();

export async function acquire(view: View<unknown>, key: string, options: LockOptions): Promise<Lock> {
  checkOptions('lock', options);
  const { signal, timeoutMs } = options;
  const ttlMs = duration('ttlMs', options.ttlMs, TTL_MS_DEFAULT);
  if (ttlMs < TTL_MS_MIN || !Number.isInteger(ttlMs)) {
    throw invalidArgument('ttlMs', `ttlMs must be a whole number of at least ${TTL_MS_MIN} milliseconds`);
  }
  const waitMs = options.waitMs === 0 ? 0 : duration('waitMs', options.waitMs, view.settings.timeoutMs);
  const slot = slotOf(view.as(codecs.string), key, ttlMs);
  const deadlineMs = now() + waitMs;
  let queue: Waiting | undefined;
  try {
    for (;;) {
      const sentMs = now();
      const holder = await attempt(slot, { signal, timeoutMs });
      if ('token' in holder) {
        const lock = hold(slot, holder.token, sentMs);
        if (lock.isHeld()) return lock;
        // The answer was so long under way that it may have expired since.
        await giveBack(slot);
        continue;
      }
      if (now() >= deadlineMs) throw taken(key, holder.conflict);
      queue ??= waitFor(view, key, holder.conflict, signal);
      await queue.next(deadlineMs - now());
    }
  } finally {
    queue?.end();
  }
}

async function attempt(
  slot: Slot,
  limits: LockLimits,
): Promise<{ readonly token: string } | { readonly conflict: ConflictError }> {
  try {
    return { token: await slot.write({ ifAbsent: true }, limits) };
  } catch (error) {
    if (error instanceof ConflictError) return { conflict: error };
    // It may be held by nobody who knows: others need not wait until it expires.
    if (error instanceof KVError && error.outcome === 'unknown') void giveBack(slot);
    throw error;
  }
}

/** Removes a lock that may have been taken, if it is there. */
async function giveBack(slot: Slot): Promise<void> {
  try {
    const revision = await slot.read({});
    if (revision !== undefined) await slot.remove(revision);
  } catch {
    // Then it expires.
  }
}

function taken(key: string, conflict: ConflictError): KVError {
  const { currentRevision } = conflict;
  return createError({
    code: 'revision-mismatch',
    message: `the lock ${JSON.stringify(key)} is held by somebody else, and was not released in time`,
    retryable: true,
    outcome: 'not-applied',
    currentRevision,
    cause: conflict,
  });
}

interface Waiting {
  /** Resolves when it is worth another try, at the latest after so many milliseconds. */
  next(ms: number): Promise<void>;
  end(): void;
}

/** Waits for the end of somebody else's lock: by a watch, and where that fails by looking again. */
function waitFor(
  view: View<unknown>,
  key: string,
  { currentRevision }: ConflictError,
  signal: LockOptions['signal'],
): Waiting {
  const stop = new AbortController();
  const ignored = [...view.closed, signal].map((each) =>
    each === undefined ? undefined : onAbort(each, () => stop.abort()),
  );
  let isWatching = typeof currentRevision === 'string';
  let polls = 0;
  let wake = new AbortController();

  const follow = async (revision: string) => {
    try {
      const fromRevision = String(BigInt(revision) + 1n);
      // Of any codec: only that the key is gone matters.
      const raw = view.as(codecs.bytes);
      for await (const { type } of watch(raw, { key }, { fromRevision, signal: stop.signal })) {
        if (type === 'delete') wake.abort();
      }
    } catch {
      isWatching = false;
      wake.abort();
    }
  };
  stop.signal.addEventListener('abort', () => wake.abort());
  if (typeof currentRevision === 'string') void follow(currentRevision);

  return {
    async next(ms) {
      const longest = isWatching
        ? POLL_MS_WATCHED
        : Math.min(POLL_MS_MAX, POLL_MS_MIN * 2 ** Math.min(polls, 10));
      polls += 1;
      // Half of it at random: those who wait for the same lock must not all come at once.
      const pauseMs = Math.min(longest * (0.5 + Math.random() / 2), ms);
      await sleep(pauseMs, wake.signal);
      if (!stop.signal.aborted) wake = new AbortController();
    },
    end() {
      stop.abort();
      for (const ignore of ignored) ignore?.();
    },
  };
}

function slotOf(view: View<string>, key: string, ttlMs: number): Slot {
  const owner = randomUUID();
  return {
    key,
    owner,
    ttlMs,
    async write(condition, limits) {
      const operation = setOperation(view, key, owner, { ...condition, ttlMs }, false);
      return (await view.call(operation, limits)).revision;
    },
    async read(limits) {
      const operation = getOperation(view, key, { consistency: 'linearizable' }, false, (answer) =>
        answer.kind === 'ok' ? entryOf(codecs.bytes, view.prefix, answer.body) : undefined,
      );
      const entry = await view.call(operation, limits);
      return entry !== undefined && Buffer.from(entry.value).toString() === owner
        ? entry.revision
        : undefined;
    },
    async remove(revision) {
      return view.call(deleteOperation(view, key, { ifRevision: revision }, false), {});
    },
    onClose(listener) {
      const ignored = view.closed.map((signal) => onAbort(signal, listener));
      return () => {
        for (const ignore of ignored) ignore();
      };
    },
  };
}
