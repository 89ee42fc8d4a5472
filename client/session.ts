/**
 * Sessions (thesis §6.3): every write has a number of its own under the session of its client, so that however often
 * it is sent, and to whichever node, it is applied once.
 */

import { SESSION_WINDOW } from '../api/limits.js';
import { PATHS } from '../api/paths.js';
import { attempt, type Channel } from './attempt.js';
import type { Failure } from './failure.js';
import type { Wish } from './nodes.js';
import type { Attempted, Bounds, Failed, Operation } from './operation.js';
import { textOf } from './request.js';
import { within } from './wait.js';

/** A write's number in a session. */
export interface Ticket {
  /** The value of `KV-Session` for an attempt that is sent now. */
  header(): string;
  /** The write has settled: the server may forget its result. */
  release(): void;
  /** The server says that the session has ended: whoever comes from now on gets another one. */
  ended(): void;
}

export interface Sessions {
  /** The next number of the session, where there is one at once. */
  take(): Ticket | undefined;
  /**
   * The next number of the session; opens a session where there is none, by one attempt that all who come meanwhile
   * share. Waits while `SESSION_WINDOW` numbers are pending. Once the signal is aborted the failure means nothing.
   */
  acquire(wish: Wish, bounds: Bounds): Promise<Ticket | Failed>;
}

interface Session {
  readonly clientId: string;
  /** The next number. Invariant: at most `lowest + SESSION_WINDOW`. */
  next: number;
  /** The lowest number that is pending; `next` when none is. Invariant: never goes back. */
  lowest: number;
  /** By number modulo `SESSION_WINDOW`: 1 while it is pending. */
  readonly pending: Uint8Array;
  /** Those who wait for a number, in order; undefined tells them to look for another session. */
  readonly waiting: Set<(ticket: Ticket | undefined) => void>;
}

interface Opening {
  readonly origin: string;
  /** Undefined when there is a session now. */
  readonly done: Promise<Failed | undefined>;
  readonly stop: AbortController;
  waiting: number;
}

/** What opens a session. Opened twice, it is one too many, which expires: so it is no write that could be in doubt. */
const OPEN: Operation<string> = {
  isWrite: false,
  route: 'leader',
  method: 'POST',
  path: PATHS.sessions,
  statuses: [201],
  read: (answer) => {
    const clientId = textOf(answer, 'clientId');
    if (/^\d{1,15}$/.test(clientId)) return clientId;
    throw new Error('the field clientId is not a number');
  },
};

/** The sessions of one client: one at a time, opened when the first write needs it. */
export function createSessions(channel: Channel): Sessions {
  let session: Session | undefined;
  let opening: Opening | undefined;

  function open(origin: string): Opening {
    const stop = new AbortController();
    const bounds = { remainingMs: channel.retry.attemptTimeoutMs, signal: stop.signal };
    const done = attempt(channel, OPEN, origin, bounds).then((opened: Attempted<string>) => {
      if (opening !== started) return undefined;
      opening = undefined;
      if ('failure' in opened) return opened;
      session = {
        clientId: opened.value,
        next: 0,
        lowest: 0,
        pending: new Uint8Array(SESSION_WINDOW),
        waiting: new Set(),
      };
      return undefined;
    });
    const started: Opening = { origin, done, stop, waiting: 0 };
    return started;
  }

  /** Waits for the one attempt that is under way, or begins it; for its own time only. */
  async function join(wish: Wish, { remainingMs, signal }: Bounds): Promise<Failed | undefined> {
    const joined = (opening ??= open(channel.nodes.pick(wish)));
    const { origin } = joined;
    joined.waiting += 1;
    const opened = await within(joined.done, remainingMs, signal);
    joined.waiting -= 1;
    // The first one may give up before the others: the attempt is over when none is left.
    if (joined.waiting === 0 && opening === joined) {
      opening = undefined;
      joined.stop.abort();
    }
    if (opened.settled) return opened.value;
    if (!signal.aborted) channel.nodes.failed(origin);
    return { origin, failure: late(`no session from ${origin} within ${Math.round(remainingMs)} ms`, true) };
  }

  function end(ended: Session): void {
    if (session === ended) session = undefined;
    for (const settle of ended.waiting) settle(undefined);
    ended.waiting.clear();
  }

  return {
    take: () => (session === undefined ? undefined : numberAtOnce(session, end)),
    async acquire(wish, { remainingMs, signal }) {
      const deadline = performance.now() + remainingMs;
      for (;;) {
        const bounds = { remainingMs: Math.max(0, deadline - performance.now()), signal };
        if (session === undefined) {
          const failed = await join(wish, bounds);
          if (failed !== undefined) return failed;
          continue;
        }
        const ticket = await numberOf(session, end, bounds);
        if (ticket === 'late') {
          const message = `${SESSION_WINDOW} numbers are taken since the oldest write under way began; it has not settled in time`;
          return { origin: undefined, failure: late(message, false) };
        }
        if (ticket !== undefined) return ticket;
      }
    },
  };
}

/** A number of this session, after all who came before; undefined when the session has ended. */
async function numberOf(
  session: Session,
  end: (session: Session) => void,
  { remainingMs, signal }: Bounds,
): Promise<Ticket | 'late' | undefined> {
  const atOnce = numberAtOnce(session, end);
  if (atOnce !== undefined) return atOnce;
  let enter: (ticket: Ticket | undefined) => void = () => undefined;
  const entered = new Promise<Ticket | undefined>((resolve) => (enter = resolve));
  session.waiting.add(enter);
  const result = await within(entered, remainingMs, signal);
  if (result.settled) return result.value;
  // A number that was handed over in this very moment goes to the next one.
  if (!session.waiting.delete(enter)) (await entered)?.release();
  return 'late';
}

/** Nobody overtakes those who wait. */
function numberAtOnce(session: Session, end: (session: Session) => void): Ticket | undefined {
  return session.waiting.size === 0 && hasRoom(session) ? new SessionTicket(session, end) : undefined;
}

function hasRoom({ next, lowest }: Session): boolean {
  return next < lowest + SESSION_WINDOW;
}

class SessionTicket implements Ticket {
  readonly #session: Session;
  readonly #end: (session: Session) => void;
  readonly #number: number;
  #isReleased = false;

  /** Takes the next number of a session that has room. */
  constructor(session: Session, end: (session: Session) => void) {
    this.#session = session;
    this.#end = end;
    this.#number = session.next;
    session.next += 1;
    session.pending[this.#number % SESSION_WINDOW] = 1;
  }

  header(): string {
    return `${this.#session.clientId}/${this.#number}/${this.#session.lowest}`;
  }

  release(): void {
    const session = this.#session;
    if (this.#isReleased) return;
    this.#isReleased = true;
    session.pending[this.#number % SESSION_WINDOW] = 0;
    while (session.lowest < session.next && session.pending[session.lowest % SESSION_WINDOW] === 0)
      session.lowest += 1;
    for (const enter of session.waiting) {
      if (!hasRoom(session)) return;
      session.waiting.delete(enter);
      enter(new SessionTicket(session, this.#end));
    }
  }

  ended(): void {
    this.#end(this.#session);
  }
}

/** The write was not even sent. */
function late(message: string, nodeFailed: boolean): Failure {
  return { code: 'timeout', message, retryable: true, outcome: 'not-applied', nodeFailed };
}
