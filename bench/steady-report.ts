/** What a steady load looks like to people: its lines, and its drift. */

import { spreadOf } from './compare.js';
import { whole } from './report.js';

/** One line; a minute unless asked otherwise. */
export interface Minute {
  /** From 1. */
  readonly line: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Requests that failed. */
  readonly errors: number;
  /** Of each node, in the order of their ids. */
  readonly residentBytes: readonly number[];
  readonly diskBytes: readonly number[];
  /** What others used of the machine; 0 to 1. */
  readonly others: number | undefined;
}

export const HEAD: readonly string[] = [
  '| line | per second | p50 ms | p99 ms | errors | resident MiB | disk MiB | others on the CPU |',
  `|${' --- |'.repeat(8)}`,
];

const mebibytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(0);

export function minuteRow(minute: Minute): string {
  const { line, perSecond, p50Ms, p99Ms, errors, residentBytes, diskBytes, others } = minute;
  const cells = [
    ...[`${line}`, whole(perSecond), p50Ms.toFixed(2), p99Ms.toFixed(2), whole(errors)],
    ...[residentBytes, diskBytes].map((bytes) => bytes.map(mebibytes).join(', ')),
    others === undefined ? '?' : `${(100 * others).toFixed(0)} %`,
  ];
  return `| ${cells.join(' | ')} |`;
}

/** Medians of the first and of the last third. */
export function driftTable(minutes: readonly Minute[]): string[] {
  const third = Math.floor(minutes.length / 3);
  if (third === 0) return [`${minutes.length} lines are too few to tell a drift from chance; it takes 3.`];
  const [first, last] = [minutes.slice(0, third), minutes.slice(-third)];
  const row = (
    name: string,
    of: (minute: Minute) => number | undefined,
    shown: (value: number) => string,
  ): string => {
    const [early, late] = [first, last].map(
      (part) => spreadOf(part.flatMap((minute) => of(minute) ?? []))?.median,
    );
    if (early === undefined || late === undefined) return `| ${name} | ? | ? | ? |`;
    return `| ${name} | ${shown(early)} | ${shown(late)} | ${(late / early).toFixed(2)} |`;
  };
  const twoDigits = (value: number): string => value.toFixed(2);
  const nodes = minutes[0]?.residentBytes ?? [];
  return [
    `| drift | first ${third} | last ${third} | ratio |`,
    '| --- | --- | --- | --- |',
    row('per second', ({ perSecond }) => perSecond, whole),
    row('p50 ms', ({ p50Ms }) => p50Ms, twoDigits),
    row('p99 ms', ({ p99Ms }) => p99Ms, twoDigits),
    ...nodes.map((_, at) =>
      row(`resident MiB of node${at + 1}`, ({ residentBytes }) => residentBytes[at], mebibytes),
    ),
    ...nodes.map((_, at) => row(`disk MiB of node${at + 1}`, ({ diskBytes }) => diskBytes[at], mebibytes)),
  ];
}
