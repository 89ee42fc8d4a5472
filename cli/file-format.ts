/** The formats of import and export: JSON lines and CSV, both by stream. */

import { parse } from 'csv-parse';
import { stringify } from 'csv-stringify/sync';
import { entryOf, parseEntry, type Entry } from './entry-line.js';
import { LINE_BYTES_MAX, LineTooLongError, readLines } from './lines.js';
import { jsonLine } from './output.js';
import { wireValue } from './value.js';

export const FILE_FORMATS = ['jsonl', 'csv'] as const;

export type FileFormat = (typeof FILE_FORMATS)[number];

const CSV_COLUMNS = ['key', 'value', 'valueBase64', 'ttlMs'] as const;

/** What was asked for, else what the name of the file says. */
export function formatOf(file: string, asked: FileFormat | undefined): FileFormat {
  return asked ?? (file.toLowerCase().endsWith('.csv') ? 'csv' : 'jsonl');
}

export interface Located {
  readonly entry: Entry;
  /** In the file, from 1. */
  readonly line: number;
}

/** An entry, or a line, that is wrong. */
export class EntryError extends Error {
  readonly line: number;

  constructor(line: number, cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.line = line;
  }
}

/** The entries of a file. Throws an `EntryError` at the first that is wrong. */
export function readEntries(
  format: FileFormat,
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<Located, void, undefined> {
  return format === 'csv' ? readCsv(chunks) : readJsonLines(chunks);
}

async function* readJsonLines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Located, void, undefined> {
  try {
    for await (const { number, bytes } of readLines(chunks)) {
      const entry = at(number, () => parseEntry(bytes));
      if (entry !== undefined) yield { entry, line: number };
    }
  } catch (error) {
    throw error instanceof LineTooLongError ? new EntryError(error.line, error) : error;
  }
}

/** The first line names the columns: `key`, and `value` or `valueBase64` or both, and `ttlMs` where there is one. */
async function* readCsv(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Located, void, undefined> {
  const parser = parse({ columns: checkedColumns, bom: true, info: true, max_record_size: LINE_BYTES_MAX });
  const feeding = feed(chunks, parser);
  // Whoever reads from the parser gets the error.
  feeding.catch(() => undefined);
  let line = 1;
  try {
    for await (const { record, info } of parser as AsyncIterable<CsvRecord>) {
      // The parser tells the last line of a record that spans several.
      line = info.lines;
      yield { entry: at(line, () => entryOf(fieldsOf(record))), line };
    }
    await feeding;
  } catch (error) {
    const isCsv = error instanceof Error && 'code' in error && String(error.code).startsWith('CSV_');
    throw isCsv ? new EntryError('lines' in error ? Number(error.lines) : line, error) : error;
  } finally {
    parser.destroy();
  }
}

interface CsvRecord {
  readonly record: Readonly<Record<string, string>>;
  readonly info: { readonly lines: number };
}

async function feed(chunks: AsyncIterable<Uint8Array>, parser: ReturnType<typeof parse>): Promise<void> {
  // The parser itself would turn what is not UTF-8 into U+FFFD without a word.
  const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  try {
    for await (const chunk of chunks) {
      const text = utf8.decode(chunk, { stream: true });
      if (!parser.write(text)) await drained(parser);
      if (parser.destroyed) return;
    }
    utf8.decode();
    parser.end();
  } catch (error) {
    const isEncoding = error instanceof TypeError;
    parser.destroy(isEncoding ? new Error('the file is not UTF-8', { cause: error }) : asError(error));
  }
}

function drained(parser: ReturnType<typeof parse>): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      parser.off('drain', done);
      parser.off('close', done);
      resolve();
    };
    parser.on('drain', done);
    parser.on('close', done);
  });
}

function checkedColumns(names: string[]): string[] {
  const unknown = names.find((name) => !CSV_COLUMNS.some((known) => known === name));
  const problem =
    unknown !== undefined
      ? `unknown column ${JSON.stringify(unknown)}`
      : !names.includes('key') || !(names.includes('value') || names.includes('valueBase64'))
        ? 'a column is missing'
        : undefined;
  if (problem === undefined) return names;
  throw new EntryError(
    1,
    `${problem}; the first line names the columns: key,value (or valueBase64), and ttlMs`,
  );
}

/** An empty field stands for none, but for `value`, where it is the empty string unless there is a `valueBase64`. */
function fieldsOf({ key, value, valueBase64, ttlMs }: CsvRecord['record']): Record<string, unknown> {
  const hasBytes = valueBase64 !== undefined && (valueBase64 !== '' || value === undefined);
  return {
    key,
    ...(hasBytes ? { valueBase64 } : { value }),
    ...(ttlMs === undefined || ttlMs === '' ? {} : { ttlMs: Number(ttlMs) }),
  };
}

/** The text before the first entry. */
export function headOf(format: FileFormat): string {
  return format === 'csv' ? csvLine([...CSV_COLUMNS]) : '';
}

/** One entry, as an import reads it. */
export function textOfEntry(format: FileFormat, { key, value, ttlMs }: Entry): string {
  const wire = wireValue(value);
  if (format === 'jsonl') return jsonLine({ key, ...wire, ...(ttlMs === undefined ? {} : { ttlMs }) });
  return csvLine([key, wire.value ?? '', wire.valueBase64 ?? '', ttlMs === undefined ? '' : String(ttlMs)]);
}

/** Everything is in quotes but what is empty: so a carriage return or a leading space comes back as it was. */
function csvLine(fields: string[]): string {
  return stringify([fields], { quoted_string: true, quoted_empty: false });
}

function at<T>(line: number, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw new EntryError(line, error);
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
