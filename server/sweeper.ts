/**
 * The leader looks for what is over by log time, keys and sessions, and proposes its end; only the committed entry
 * ends anything. It also carries log time on while there are keys that expire: a new leader knows only what was committed.
 */

import { encodeCommand } from '../kv/codec.js';
import { EXPIRE_KEYS_MAX, KEY_BYTES_MAX, TRIM_REVISIONS_MAX } from '../kv/command.js';
import type { Check, Command } from '../kv/command.js';
import {
  HISTORY_BYTES_ROW,
  HISTORY_COUNT_ROW,
  HISTORY_LOST_ROW,
  HISTORY_ROWS,
  historyBytesOf,
  historyRow,
  revisionOfHistoryRow,
} from '../kv/history.js';
import type { Row } from '../kv/rows.js';
import { CLOCK_ROW, EXPIRY_ROWS, decodeCount, decodeTime, dueRows, keyOfExpiryRow } from '../kv/rows.js';
import { SESSION_ROWS, clientIdOfRow, decodeSession } from '../kv/session-rows.js';
import { hasExpired } from '../kv/sessions.js';
import type { Scan, StateStore } from '../persistence/state-store.js';
import type { Node } from './node.js';
import type { Clock } from './ports.js';

export interface SweeperOptions {
  /** Bytes that the history of changes may have, at most. */
  readonly historyBytes: number;
  readonly keysEveryMs: number;
  readonly sessionsEveryMs: number;
}

/** A key goes at most `keysEveryMs` and the time of a commit after its time is over, and after an election `CLOCK_EVERY_MS` more. */
const DEFAULTS: SweeperOptions = {
  keysEveryMs: 100,
  sessionsEveryMs: 5000,
  historyBytes: 64 * 1024 * 1024,
};
/** While there are keys that expire, log time is written down so often at least. */
const CLOCK_EVERY_MS = 250;
/** Sessions that one entry ends, at most: each takes up to `SESSION_WINDOW` results with it. */
const SESSIONS_MAX = 64;
/** Keys whose end is proposed before the next ones are looked for. */
const KEYS_MAX = 1024;
/** Rows and bytes that one read takes. */
const PAGE_BYTES = 256 * 1024;
const PAGE = { limit: KEYS_MAX, bytesMax: PAGE_BYTES };
/** Of the history, that one entry trims at most: all of it is read, by the leader alone. */
const TRIM_BYTES = 1024 * 1024;
/** What the history may have is undercut by this share when it is exceeded, or by `TRIM_BYTES`, so that few entries trim it. */
const TRIM_SHARE = 1 / 16;
/** The history holds so many revisions at least, unless they have too many bytes. */
export const HISTORY_REVISIONS = 10_000;

/** Begins to look; the result ends it. */
export function sweep(
  node: Node,
  store: StateStore,
  clock: Clock,
  options: Partial<SweeperOptions> = {},
): () => void {
  const { keysEveryMs, sessionsEveryMs, historyBytes } = { ...DEFAULTS, ...options };
  const parts = { node, store, propose: (command: Command) => node.propose(encodeCommand(command)) };
  const stopKeys = clock.every(
    keysEveryMs,
    oncePerTerm(node, () => sweepKeys(parts)),
  );
  const stopSessions = clock.every(
    sessionsEveryMs,
    oncePerTerm(node, () => sweepSessions(parts)),
  );
  const stopHistory = clock.every(
    keysEveryMs,
    oncePerTerm(node, () => sweepHistory(parts, historyBytes)),
  );
  return () => {
    stopHistory();
    stopKeys();
    stopSessions();
  };
}

interface Parts {
  readonly node: Node;
  readonly store: StateStore;
  readonly propose: (command: Command) => ReturnType<Node['propose']>;
}

/** Where this node leads: one look at a time. What a former term of its own still waits for holds up nothing. */
function oncePerTerm(node: Node, look: () => Promise<void>): () => void {
  let lookingInTerm: number | undefined;
  return () => {
    const { term } = node.standing;
    if (!leads(node) || lookingInTerm === term) return;
    lookingInTerm = term;
    void look().finally(() => {
      if (lookingInTerm === term) lookingInTerm = undefined;
    });
  };
}

function leads(node: Node): boolean {
  return !node.isStopped && node.standing.role === 'leader';
}

/** Page by page, each when the one before is decided: however many keys expire at once, clients get their turn in between. */
async function sweepKeys({ node, store, propose }: Parts): Promise<void> {
  for (;;) {
    const page = await scan(store, { ...dueRows(node.logTimeMs()), ...PAGE });
    if (!leads(node)) return;
    const keys = page.entries.map(([row, revision]) => ({
      key: keyOfExpiryRow(row),
      revision: decodeCount(revision),
    }));
    const outcomes = await Promise.all(
      inBatches(keys).map((batch) => propose({ op: 'expire-keys', keys: batch })),
    );
    if (!leads(node)) return;
    // What was not taken is found at the next look.
    const taken = outcomes.every(({ status }) => status === 'applied');
    if (keys.length === 0) return carryClock({ node, store, propose });
    if (!taken || !page.more) return;
  }
}

/** Entries stay far below what one message carries, even with the longest keys. */
function inBatches(keys: readonly Check[]): Check[][] {
  const batches: Check[][] = [];
  const perBatch = Math.min(EXPIRE_KEYS_MAX, Math.floor(PAGE.bytesMax / KEY_BYTES_MAX));
  for (let from = 0; from < keys.length; from += perBatch) batches.push(keys.slice(from, from + perBatch));
  return batches;
}

/** Without it, a leader that comes after an hour without writes would begin an hour ago, and every key stay an hour longer. */
async function carryClock({ node, store, propose }: Parts): Promise<void> {
  const [first, lastMs] = await Promise.all([
    scan(store, { ...EXPIRY_ROWS, limit: 1, bytesMax: 1 }),
    new Promise<number>((resolve) => store.getMany([CLOCK_ROW], ([clock]) => resolve(decodeTime(clock)))),
  ]);
  if (!leads(node) || first.entries.length === 0 || node.logTimeMs() - lastMs < CLOCK_EVERY_MS) return;
  await propose({ op: 'expire-keys', keys: [] });
}

/** Down to so many revisions, or fewer where they have too many bytes. */
async function sweepHistory({ node, store, propose }: Parts, bytesMax: number): Promise<void> {
  for (;;) {
    const [count, bytes, lost] = await counters(store, [
      HISTORY_COUNT_ROW,
      HISTORY_BYTES_ROW,
      HISTORY_LOST_ROW,
    ]);
    if (!leads(node) || (count <= HISTORY_REVISIONS + TRIM_REVISIONS_MAX && bytes <= bytesMax)) return;
    const { entries } = await scan(store, {
      // Not from the beginning of the rows: the engine would step over all that were removed since it last cleaned up.
      gt: historyRow(lost),
      lt: HISTORY_ROWS.lt,
      limit: TRIM_REVISIONS_MAX,
      bytesMax: TRIM_BYTES,
    });
    if (!leads(node)) return;
    const slackBytes = bytes <= bytesMax ? 0 : Math.min(TRIM_BYTES, bytesMax * TRIM_SHARE);
    const goalBytes = bytesMax - slackBytes;
    let left = { count, bytes };
    const revisions: number[] = [];
    for (const [row, record] of entries) {
      if (left.count <= HISTORY_REVISIONS && left.bytes <= goalBytes) break;
      left = { count: left.count - 1, bytes: left.bytes - historyBytesOf(record) };
      revisions.push(revisionOfHistoryRow(row));
    }
    if (revisions.length === 0) return;
    const { status } = await propose({ op: 'trim-history', revisions, bytes: bytes - left.bytes });
    if (status !== 'applied' || !leads(node)) return;
  }
}

function counters(store: StateStore, rows: readonly [Row, Row, Row]): Promise<[number, number, number]> {
  return new Promise((resolve) =>
    store.getMany(rows, ([a, b, c]) => resolve([decodeCount(a), decodeCount(b), decodeCount(c)])),
  );
}

async function sweepSessions({ node, store, propose }: Parts): Promise<void> {
  let from: { readonly gte: Row } | { readonly gt: Row } = SESSION_ROWS;
  for (;;) {
    const { entries, more } = await scan(store, { ...from, lt: SESSION_ROWS.lt, ...PAGE });
    if (!leads(node)) return;
    const nowMs = node.logTimeMs();
    const expired = entries.filter(([, record]) => hasExpired(decodeSession(record), nowMs));
    for (let at = 0; at < expired.length; at += SESSIONS_MAX) {
      const clientIds = expired.slice(at, at + SESSIONS_MAX).map(([row]) => clientIdOfRow(row));
      // Whether it is taken or not: whoever is still there is found at the next look.
      await propose({ op: 'expire-sessions', clientIds });
      if (!leads(node)) return;
    }
    const last = entries.at(-1);
    if (!more || last === undefined) return;
    from = { gt: last[0] };
  }
}

function scan(store: StateStore, range: Parameters<StateStore['scan']>[0]): Promise<Scan> {
  return new Promise((resolve) => store.scan(range, resolve));
}
