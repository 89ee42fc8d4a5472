import { InvalidArgumentError } from 'commander';

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** Milliseconds of `500ms`, `5s`, `2m` or `1h`. A unit is required: `5` means different things to different people. */
export function parseDuration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text);
  const ms = Number(match?.[1]) * (UNITS[match?.[2] ?? ''] ?? Number.NaN);
  if (ms >= 1 && ms <= 2_147_483_647) return ms;
  throw new InvalidArgumentError('Give a number and a unit, such as 500ms, 5s or 2m (24 days at most).');
}
