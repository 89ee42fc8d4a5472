/**
 * The log, applied once more, an entry at a time: what every answer should have been, what every key held at every revision, and
 * what a watch has to tell. Whatever a client is told is held against it.
 */

import { isDeepStrictEqual } from 'node:util';
import { applyAll, rowsRead } from '../../kv/apply.js';
import { encodeCommand, readStamp } from '../../kv/codec.js';
import type { Command, CommandResult, TxnCommand } from '../../kv/command.js';
import { decodeChanges, historyRow } from '../../kv/history.js';
import type { Row } from '../../kv/rows.js';
import { prefixRows } from '../../kv/rows.js';
import { resultRow } from '../../kv/session-rows.js';
import { commandsOf } from '../../kv/shared.js';
import type { Change } from '../../kv/working-set.js';
import { WorkingSet } from '../../kv/working-set.js';
import { invariant } from '../../raft/assert.js';
import type { Entry, Index } from '../../raft/entry.js';
import type { ReadResult, StoredEntry, WatchItem } from '../../server/service.js';

export type Rows = Map<Row, Buffer>;

/** Stamps are the leader's, whoever asks. */
const STAMP_BYTES = 8;
/** The fastest clock of a run, with some room for rounding. */
const CLOCK_RATE_MAX = 1.0451;

/** Applies one entry to `rows`: its commands, and the result of each. */
export function applyEntry(
  rows: Rows,
  { index, type, data }: Entry,
): { readonly command: Command; readonly result: CommandResult }[] {
  if (type !== 'command') return [];
  const commands = commandsOf(data);
  const [command] = commands;
  const names = command?.op === 'delete-prefix' ? rowsUnder(rows, command.prefix) : [];
  // Whether there can be a result of it or not.
  const results = commands.flatMap((one) =>
    'session' in one ? [resultRow(one.session.clientId, one.session.seq)] : [],
  );
  const read = [...rowsRead(commands), ...results, ...names];
  const set = new WorkingSet(
    read,
    read.map((row) => rows.get(row)),
  );
  const [told = []] = applyAll(set, [{ commands, index, stampMs: readStamp(data), prefixRows: names }]);
  invariant(told.length === commands.length, `entry ${index} has as many results as commands`);
  const { puts, deletes } = set.changes();
  for (const [row, value] of puts) rows.set(row, value);
  for (const row of deletes) rows.delete(row);
  return told.flatMap((result, at) => {
    const done = commands[at];
    return done === undefined ? [] : [{ command: done, result }];
  });
}

function rowsUnder(rows: Rows, prefix: string): Row[] {
  const { gte, lt } = prefixRows(prefix);
  return [...rows.keys()].filter((row) => row >= gte && row < lt).sort();
}

interface Version {
  readonly index: Index;
  /** Undefined: it was missing from then on. */
  readonly value: string | undefined;
}

/** So many events behind a revision. */
export interface WatchPlace {
  readonly behind: Index;
  readonly count: number;
}

type WatchEvent = WatchItem & { readonly type: 'event' };

export class Replay {
  /** Up to here it has come. */
  index: Index = 0;
  readonly #rows: Rows = new Map();
  /** What was answered to each command, by all but its stamp; one that has no session may be asked for twice. */
  readonly #answers = new Map<string, CommandResult[]>();
  readonly #versions = new Map<string, Version[]>();
  readonly #events: WatchEvent[] = [];
  /** What is to live for a while, by its value: clients never use one twice. */
  readonly #mortal = new Map<string, { readonly askedMs: number; readonly ttlMs: number }>();
  /** What clients were told is not applied. */
  readonly #denied = new Set<string>();

  /** A client is about to ask for a key to live for `ttlMs`. */
  askedFor(value: string, ttlMs: number, askedMs: number): void {
    this.#mortal.set(value, { askedMs, ttlMs });
  }

  /** The entry behind `index` was applied somewhere. */
  apply(entry: Entry, nowMs: number): void {
    this.index = entry.index;
    for (const { command, result } of applyEntry(this.#rows, entry)) {
      const id = idOf(encodeCommand(command));
      this.#answers.set(id, [...(this.#answers.get(id) ?? []), result]);
      invariant(
        !this.#denied.has(id) || isNothing(result),
        `entry ${entry.index} was said to be not applied`,
      );
    }
    const record = this.#rows.get(historyRow(entry.index));
    const changes = record === undefined ? [] : decodeChanges(record);
    changes.forEach((change, at) => {
      if (change.kind === 'expired') this.#checkExpired(change, nowMs);
      const { key } = change;
      const value = change.value === undefined ? undefined : Buffer.from(change.value).toString();
      const versions = this.#versions.get(key) ?? [];
      versions.push({ index: entry.index, value });
      this.#versions.set(key, versions);
      this.#events.push({ type: 'event', change, revision: entry.index, n: at + 1, of: changes.length });
    });
  }

  /** Never early, as everybody's clock has it: log time goes on no faster than the fastest of them. */
  #checkExpired({ key }: Change, nowMs: number): void {
    // Nobody says what was asked for.
    if (this.#mortal.size === 0) return;
    const value = this.#at(key, this.index)?.value;
    const mortal = this.#mortal.get(value ?? '');
    invariant(mortal !== undefined, `${key} expires, and was to live for ever`);
    const livedMs = (nowMs - mortal.askedMs) * CLOCK_RATE_MAX;
    invariant(
      livedMs >= mortal.ttlMs,
      `${key} was to live for ${mortal.ttlMs} ms, and expires after ${livedMs} at most`,
    );
  }

  /** The answer is the one of an entry that holds this very command. */
  checkAnswer(command: Command, result: CommandResult): void {
    const expected = this.#answers.get(idOf(encodeCommand(command))) ?? [];
    const isRight = expected.some((answer) => isDeepStrictEqual(plain(answer), plain(result)));
    invariant(
      isRight,
      `${command.op} was answered ${describe(result)}; by the log: ${expected.map(describe).join(' or ') || 'nothing'}`,
    );
    if (command.op === 'txn' && result.status === 'txn') this.#checkConditions(command, result);
  }

  /** A transaction is carried out only where all its checks hold, right before it. */
  #checkConditions({ checks }: TxnCommand, { revision }: { readonly revision: Index }): void {
    for (const { key, revision: expected } of checks) {
      const version = this.#at(key, revision - 1);
      const held = version?.value === undefined ? 0 : version.index;
      invariant(
        held === expected,
        `the transaction at ${revision} found ${key} at ${held}, and asked for ${expected}`,
      );
    }
  }

  /** "Not applied" is for good. Only of a command that no other one is equal to. */
  checkDenied(command: Command): void {
    const id = idOf(encodeCommand(command));
    const isDone = this.#answers.get(id)?.some((answer) => !isNothing(answer)) === true;
    invariant(!isDone, `${command.op} was said to be not applied, and is`);
    this.#denied.add(id);
  }

  /** No older than what was committed before it was asked for, whatever the key (§8), and what the log says. */
  checkReads(
    keys: readonly string[],
    { entries, revision }: ReadResult,
    { committed, what }: { readonly committed: Index; readonly what: string },
  ): void {
    invariant(
      revision >= committed,
      `${what} reflects ${revision}, but ${committed} was committed before it`,
    );
    keys.forEach((key, at) => this.checkRead(key, entries[at], revision));
  }

  /** A read that reflects `revision` shows just what the log had made by then. */
  checkRead(key: string, entry: StoredEntry | undefined, revision: Index): void {
    const version = this.#at(key, revision);
    invariant(
      isEqual(entry, version),
      `${key} is read as ${shown(entry)} at ${revision}; by the log it is ${version?.value ?? 'missing'}`,
    );
  }

  /** A read whose revision is not told shows what the log had made at some moment since `from`. */
  checkReadSince(key: string, entry: StoredEntry | undefined, from: Index): void {
    const later = (this.#versions.get(key) ?? []).filter(({ index }) => index > from);
    invariant(
      [this.#at(key, from), ...later].some((version) => isEqual(entry, version)),
      `${key} is read as ${shown(entry)}, which it was not since ${from}`,
    );
  }

  /** All keys with the prefix at a revision, in order. */
  checkList(prefix: string, entries: readonly StoredEntry[], revision: Index): void {
    const keys = [...this.#versions.keys()].filter((key) => key.startsWith(prefix)).sort();
    const expected = keys.filter((key) => this.#at(key, revision)?.value !== undefined);
    invariant(
      isDeepStrictEqual(
        entries.map(({ key }) => key),
        expected,
      ),
      `under ${prefix} are ${entries.map(({ key }) => key).join()} at ${revision}; by the log ${expected.join()}`,
    );
    for (const entry of entries) this.checkRead(entry.key, entry, revision);
  }

  /** What a watch of every key tells, so many events behind a revision. */
  checkEvent({ behind, count }: WatchPlace, event: WatchEvent): void {
    const expected = this.#eventAt(behind, count);
    invariant(
      expected !== undefined && textOf(event) === textOf(expected),
      `a watch tells ${textOf(event)}; by the log ${expected === undefined ? 'nothing' : textOf(expected)} is next`,
    );
  }

  /** A watch that has come so far says that it has told everything up to `seen`. */
  checkSeen({ behind, count }: WatchPlace, seen: Index): void {
    const next = this.#eventAt(behind, count);
    invariant(
      next === undefined || next.revision > seen,
      `a watch has seen ${seen}, and did not tell ${next === undefined ? '' : textOf(next)}`,
    );
  }

  #eventAt(behind: Index, count: number): WatchEvent | undefined {
    const first = this.#events.findIndex(({ revision }) => revision > behind);
    return first < 0 ? undefined : this.#events[first + count];
  }

  #at(key: string, revision: Index): Version | undefined {
    return this.#versions.get(key)?.findLast(({ index }) => index <= revision);
  }
}

function idOf(data: Uint8Array): string {
  return Buffer.from(data.subarray(STAMP_BYTES)).toString('latin1');
}

/** Its session was over. */
function isNothing({ status }: CommandResult): boolean {
  return status === 'session-expired' || status === 'session-conflict';
}

/** The same for equal results, whatever kind of bytes their values are. */
function plain(result: CommandResult): object {
  if (result.status !== 'txn') return result;
  const results = result.results.map((one) =>
    one.status === 'got' ? { ...one, value: one.value.toString('latin1') } : one,
  );
  return { ...result, results };
}

function describe(result: CommandResult): string {
  return JSON.stringify(plain(result));
}

function isEqual(entry: StoredEntry | undefined, version: Version | undefined): boolean {
  if (entry === undefined) return version?.value === undefined;
  return version?.value === entry.value.toString() && version.index === entry.revision;
}

function shown(entry: StoredEntry | undefined): string {
  return entry === undefined ? 'missing' : `${entry.value.toString()} of ${entry.revision}`;
}

function textOf({ change, revision, n, of }: WatchEvent): string {
  const value = change.value === undefined ? '' : Buffer.from(change.value).toString();
  return `${change.kind} ${change.key}=${value} at ${revision} (${n} of ${of})`;
}
