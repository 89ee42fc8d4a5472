/** Durations and sizes: a number in the setting's own unit, or a string with a unit. Read exactly, without floating point. */

import { bad, good, show, type Reading } from './reading.js';

export type DurationUnit = 'ms' | 's';

/** The range a setting allows, both ends included, in milliseconds or bytes. */
export interface Range {
  readonly min: number;
  readonly max: number;
}

const MS_PER_UNIT: ReadonlyMap<string, bigint> = new Map([
  ['ms', 1n],
  ['s', 1000n],
  ['m', 60_000n],
  ['min', 60_000n],
  ['h', 3_600_000n],
]);

/** Keys in lower case: nobody means bits here, so `MB`, `Mb` and `mb` are the same. */
const BYTES_PER_UNIT: ReadonlyMap<string, bigint> = new Map([
  ['b', 1n],
  ['kb', 1000n],
  ['kib', 1024n],
  ['mb', 1000n ** 2n],
  ['mib', 1024n ** 2n],
  ['gb', 1000n ** 3n],
  ['gib', 1024n ** 3n],
]);

/** Digits are bounded, so that no file makes us multiply numbers of any length. */
const QUANTITY = /^(-?)(\d{1,18})(?:\.(\d{1,18}))?[ ]?([A-Za-z]*)$/;

type Scaled =
  | { readonly kind: 'value'; readonly amount: bigint }
  | { readonly kind: 'malformed' }
  | { readonly kind: 'unitless' }
  | { readonly kind: 'fraction' };

function scale(text: string, factorOf: (unit: string) => bigint | undefined): Scaled {
  const match = QUANTITY.exec(text.trim());
  if (match === null) return { kind: 'malformed' };
  const [, sign = '', whole = '', fraction = '', unit = ''] = match;
  if (unit === '') return { kind: 'unitless' };
  const factor = factorOf(unit);
  if (factor === undefined) return { kind: 'malformed' };
  const product = BigInt(whole + fraction) * factor;
  const divisor = 10n ** BigInt(fraction.length);
  if (product % divisor !== 0n) return { kind: 'fraction' };
  const amount = product / divisor;
  return { kind: 'value', amount: sign === '-' ? -amount : amount };
}

interface Quantity {
  readonly noun: string;
  readonly smallest: string;
  readonly defaultUnit: string;
  readonly defaultUnitName: string;
  readonly example: string;
  readonly factorOf: (unit: string) => bigint | undefined;
  readonly format: (amount: number) => string;
}

function read(value: unknown, quantity: Quantity, range: Range): Reading<number> {
  const { noun, defaultUnit, defaultUnitName, example } = quantity;
  const usage = `write a number of ${defaultUnitName}, or a string with a unit such as "${example}"`;
  if (typeof value !== 'number' && typeof value !== 'string')
    return bad(`${show(value)} is not a ${noun}; ${usage}`);
  const scaled = scale(typeof value === 'number' ? `${value}${defaultUnit}` : value, quantity.factorOf);
  switch (scaled.kind) {
    case 'malformed':
      return bad(`${show(value)} is not a ${noun}; ${usage}`);
    case 'unitless':
      return bad(`${show(value)} has no unit; ${usage}`);
    case 'fraction':
      return bad(`${show(value)} is not a whole number of ${quantity.smallest}; round it`);
    case 'value': {
      const { amount } = scaled;
      if (amount < BigInt(range.min) || amount > BigInt(range.max)) {
        const limits = `${quantity.format(range.min)} to ${quantity.format(range.max)}`;
        return bad(`${show(value)} is out of range; give ${limits}`);
      }
      return good(Number(amount));
    }
  }
}

/**
 * A duration in milliseconds.
 *
 * @param value - a number in `unit`, or a string such as `"150ms"`, `"2s"`, `"1.5 min"`, `"1h"`
 * @param unit - what a bare number means
 * @param range - what is allowed, in milliseconds
 */
export function readDurationMs(value: unknown, unit: DurationUnit, range: Range): Reading<number> {
  return read(
    value,
    {
      noun: 'duration',
      smallest: 'milliseconds',
      defaultUnit: unit,
      defaultUnitName: unit === 'ms' ? 'milliseconds' : 'seconds',
      example: unit === 'ms' ? '150ms' : '30s',
      factorOf: (name) => MS_PER_UNIT.get(name),
      format: formatDurationMs,
    },
    range,
  );
}

/**
 * A size in bytes.
 *
 * @param value - a number of bytes, or a string such as `"64MiB"` (powers of 1024) or `"10 kB"` (powers of 1000)
 * @param range - what is allowed, in bytes
 */
export function readSizeBytes(value: unknown, range: Range): Reading<number> {
  return read(
    value,
    {
      noun: 'size',
      smallest: 'bytes',
      defaultUnit: 'B',
      defaultUnitName: 'bytes',
      example: '64MiB',
      factorOf: (name) => BYTES_PER_UNIT.get(name.toLowerCase()),
      format: formatSizeBytes,
    },
    range,
  );
}

function formatIn(amount: number, units: readonly (readonly [name: string, factor: number])[]): string {
  for (const [name, factor] of units) {
    if (amount >= factor && amount % factor === 0) return `${amount / factor}${name}`;
  }
  return `${amount}${units.at(-1)?.[0] ?? ''}`;
}

/** The shortest exact form that {@link readDurationMs} reads back, for example `150ms` or `2s`. */
export function formatDurationMs(ms: number): string {
  return formatIn(ms, [
    ['h', 3_600_000],
    ['min', 60_000],
    ['s', 1000],
    ['ms', 1],
  ]);
}

/** The shortest exact form that {@link readSizeBytes} reads back, for example `64MiB` or `1000B`. */
export function formatSizeBytes(bytes: number): string {
  return formatIn(bytes, [
    ['GiB', 1024 ** 3],
    ['MiB', 1024 ** 2],
    ['KiB', 1024],
    ['B', 1],
  ]);
}
