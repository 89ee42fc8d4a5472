import test from 'ava';
import fc from 'fast-check';
import { inspect } from 'node:util';
import { formatDurationMs, formatSizeBytes, readDurationMs, readSizeBytes } from '../../configs/units.js';

const ANY = { min: 0, max: Number.MAX_SAFE_INTEGER };
const ms = (value: unknown, unit: 'ms' | 's' = 'ms') => {
  const reading = readDurationMs(value, unit, ANY);
  return reading.ok ? reading.value : reading.problem;
};
const bytes = (value: unknown) => {
  const reading = readSizeBytes(value, ANY);
  return reading.ok ? reading.value : reading.problem;
};

test('durations: numbers in the unit of the setting, strings in their own', (t) => {
  t.is(ms(150), 150);
  t.is(ms(30, 's'), 30_000);
  t.is(ms(0.5, 's'), 500);
  t.is(ms('150ms'), 150);
  t.is(ms('150ms', 's'), 150);
  t.is(ms('2s'), 2000);
  t.is(ms('1.5 min'), 90_000);
  t.is(ms('2m'), 120_000);
  t.is(ms('1h'), 3_600_000);
});

test('sizes: powers of 1024 and of 1000, in any case, with or without a space', (t) => {
  t.is(bytes(1024), 1024);
  t.is(bytes('64MiB'), 64 * 1024 * 1024);
  t.is(bytes('10 kB'), 10_000);
  t.is(bytes('10KB'), 10_000);
  t.is(bytes('1.5KiB'), 1536);
  t.is(bytes('1.1MB'), 1_100_000, 'exact, where floating point is not');
  t.is(bytes('2gib'), 2 * 1024 ** 3);
  t.is(bytes('7B'), 7);
});

test('what is refused, and what it says', (t) => {
  t.is(
    ms('5 parsecs'),
    '"5 parsecs" is not a duration; write a number of milliseconds, or a string with a unit such as "150ms"',
  );
  t.is(ms('30', 's'), '"30" has no unit; write a number of seconds, or a string with a unit such as "30s"');
  t.is(ms('0.5ms'), '"0.5ms" is not a whole number of milliseconds; round it');
  t.is(ms('-5ms'), '"-5ms" is out of range; give 0ms to 9007199254740991ms');
  t.is(bytes('64M'), '"64M" is not a size; write a number of bytes, or a string with a unit such as "64MiB"');
  t.is(bytes('0.3KiB'), '"0.3KiB" is not a whole number of bytes; round it');
  for (const value of [
    true,
    null,
    undefined,
    [],
    {},
    '',
    'ms',
    NaN,
    Infinity,
    1e300,
    1e-9,
    '1e3ms',
    '0x10B',
    '٣ms',
  ]) {
    t.is(typeof ms(value), 'string', inspect(value));
    t.is(typeof bytes(value), 'string', inspect(value));
  }
});

test('the range is inclusive, and told', (t) => {
  const range = { min: 10, max: 2000 };
  t.deepEqual(readDurationMs(10, 'ms', range), { ok: true, value: 10 });
  t.deepEqual(readDurationMs('2s', 'ms', range), { ok: true, value: 2000 });
  t.deepEqual(readDurationMs(9, 'ms', range), { ok: false, problem: '9 is out of range; give 10ms to 2s' });
  t.deepEqual(readSizeBytes('2KiB', range), {
    ok: false,
    problem: '"2KiB" is out of range; give 10B to 2000B',
  });
});

test('property: what is formatted reads back as the same amount', (t) => {
  const amounts = fc.oneof(
    fc.maxSafeNat(),
    fc.nat(100).map((n) => n * 60_000),
    fc.nat(4096).map((n) => n * 1024 ** 2),
  );
  fc.assert(
    fc.property(
      amounts,
      (amount) => ms(formatDurationMs(amount)) === amount && bytes(formatSizeBytes(amount)) === amount,
    ),
  );
  t.pass();
});

test('property: a decimal with a unit is its exact product, or refused when that is not whole', (t) => {
  const units = { B: 1n, kB: 1000n, KiB: 1024n, MB: 1000_000n, MiB: 1024n ** 2n, GiB: 1024n ** 3n };
  const unit = fc.constantFrom(...(Object.keys(units) as (keyof typeof units)[]));
  fc.assert(
    fc.property(fc.nat(99_999), fc.stringMatching(/^[0-9]{1,6}$/), unit, (whole, fraction, name) => {
      const product = BigInt(`${whole}${fraction}`) * units[name];
      const divisor = 10n ** BigInt(fraction.length);
      const result = bytes(`${whole}.${fraction} ${name}`);
      return product % divisor === 0n ? result === Number(product / divisor) : typeof result === 'string';
    }),
  );
  t.pass();
});

test('property: no input throws, and each is a number in range or a one-line problem', (t) => {
  fc.assert(
    fc.property(fc.anything(), (value) => {
      const reading = readSizeBytes(value, { min: 1, max: 100 });
      return reading.ok ? reading.value >= 1 && reading.value <= 100 : !reading.problem.includes('\n');
    }),
  );
  t.pass();
});
