/** What the commands print: for people on a terminal, for programs, or bare. */

import { once } from 'node:events';
import type { Writable } from 'node:stream';
import Table from 'cli-table3';
import type { Value } from './value.js';

export const FORMATS = ['table', 'json', 'plain'] as const;

export type Format = (typeof FORMATS)[number];

/** Writes, and waits while the reader is behind. */
export async function write(stream: Writable, chunk: string | Uint8Array): Promise<void> {
  if (!stream.write(chunk)) await once(stream, 'drain');
}

/** Text that can do nothing to a terminal and stays on one line: control and formatting characters are escaped. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Surrogate}]/gu, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return `\\u{${code.toString(16)}}`;
  });
}

/** A value in a cell of a table. */
export function cellOf(value: Value): string {
  return typeof value === 'string' ? printable(value) : `base64:${Buffer.from(value).toString('base64')}`;
}

/** Rows under a head, drawn for a terminal. */
export function tableOf(head: readonly string[], rows: readonly (readonly string[])[]): string {
  // No colours: the table must be readable on any background, and in a log.
  const table = new Table({ head: [...head], style: { head: [], border: [] } });
  for (const row of rows) table.push([...row]);
  return `${table.toString()}\n`;
}

/** Rows for other programs: one a line, tabs between the cells. */
export function tabbed(rows: readonly (readonly string[])[]): string {
  return rows.map((row) => `${row.map(printable).join('\t')}\n`).join('');
}

/** One JSON document on one line. */
export function jsonLine(document: unknown): string {
  return `${JSON.stringify(document)}\n`;
}
