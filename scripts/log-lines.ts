/** Server logs (pino's JSON, one object a line) as short lines for people. */

const LEVELS: Readonly<Record<number, string>> = {
  10: 'trace',
  20: 'debug',
  30: 'info',
  40: 'warn',
  50: 'error',
  60: 'fatal',
};

/** Fields that say nothing to someone who watches the terminal. */
const SILENT = new Set([
  'node',
  'level',
  'time',
  'msg',
  'pid',
  'hostname',
  'v',
  'name',
  'id',
  'nodeId',
  'nodeID',
]);

export interface Style {
  readonly colour: boolean;
}

/** One line of a log, formatted; a line that is not JSON comes back as it is. */
export function formatLogLine(line: string, style: Style): string {
  const record = parseRecord(line);
  if (record === undefined) return line;
  const { level, time, msg } = record;
  const name = (typeof level === 'number' ? LEVELS[level] : undefined) ?? text(level);
  const stamp = typeof time === 'number' || typeof time === 'string' ? clock(time) : '';
  const fields = Object.entries(record)
    .filter(([key]) => !SILENT.has(key))
    .map(([key, value]) => `${key}=${text(value)}`);
  const parts = [stamp, paintLevel(name.padEnd(5), name, style), text(msg), ...fields];
  return parts.filter((part) => part !== '').join(' ');
}

/** `text` in one of the terminal's colours (a number of ECMA-48, such as 32 for green). */
export function paint(line: string, colour: number, style: Style): string {
  return style.colour ? `\u001b[${colour}m${line}\u001b[0m` : line;
}

function paintLevel(padded: string, level: string, style: Style): string {
  if (level === 'warn') return paint(padded, 33, style);
  if (level === 'error' || level === 'fatal') return paint(padded, 31, style);
  return paint(padded, 90, style);
}

function parseRecord(line: string): Record<string, unknown> | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value !== 'object' || value === null) return undefined;
    return Object.fromEntries(Object.entries(value));
  } catch {
    return undefined;
  }
}

function clock(time: number | string): string {
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return String(time);
  const part = (value: number, width = 2): string => String(value).padStart(width, '0');
  return `${part(date.getHours())}:${part(date.getMinutes())}:${part(date.getSeconds())}.${part(date.getMilliseconds(), 3)}`;
}

function text(value: unknown): string {
  if (value === undefined) return '';
  return typeof value === 'string' ? value : JSON.stringify(value);
}
