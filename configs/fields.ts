/** The kinds of settings, each as a zod type whose message says what is wrong and what to write instead. */

import { closest } from 'fastest-levenshtein';
import { z } from 'zod';
import { formatAddress, readAddress, readReachableAddress } from './address.js';
import { bad, good, show, type Reading } from './reading.js';
import { readDurationMs, readSizeBytes, type DurationUnit } from './units.js';

const HOUR_MS = 3_600_000;
/** Node's timers overflow at 2^31 ms; a day is more than any of these settings needs. */
const DURATION_MS_MAX = 24 * HOUR_MS;
const SIZE_BYTES_MAX = 1024 ** 4;

function readPresent<T>(value: unknown, read: (value: unknown) => Reading<T>): Reading<T> {
  if (value === undefined) return bad('is missing; add it');
  return value === null ? bad('has no value; give it one, or remove the key') : read(value);
}

function field<T>(read: (value: unknown) => Reading<T>) {
  return z.unknown().transform((value, context): T => {
    const reading = readPresent(value, read);
    if (reading.ok) return reading.value;
    context.addIssue({ code: 'custom', message: reading.problem });
    return z.NEVER;
  });
}

/** A duration, in milliseconds; a bare number is in `unit`. */
export function durationMs(unit: DurationUnit = 'ms', min = 1) {
  return field((value) => readDurationMs(value, unit, { min, max: DURATION_MS_MAX }));
}

/** A size, in bytes. */
export function sizeBytes(min = 1, max = SIZE_BYTES_MAX) {
  return field((value) => readSizeBytes(value, { min, max }));
}

/** A whole number. */
export function count(min: number, max: number) {
  return field((value) =>
    typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max
      ? good(value)
      : bad(`${show(value)} is not a whole number from ${min} to ${max}; give one`),
  );
}

/** Where this node listens. */
export function listenAddress() {
  return field((value) => {
    const reading = readAddress(value);
    return reading.ok ? good(formatAddress(reading.value)) : reading;
  });
}

/** Where others reach this node; port 0 goes with a listening port of 0. */
export function advertisedAddress() {
  return field((value) => readReachableAddress(value, true));
}

/** Where another node is reached. */
export function peerAddress() {
  return field((value) => readReachableAddress(value, false));
}

/** The same, or empty: nowhere. */
export function nothingOrAddress() {
  return field((value) => (value === '' ? good('') : readReachableAddress(value, false)));
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** An id or a name: it stands in directory names, headers and metrics, so it is plain. */
export function plainName() {
  return field((value) => {
    if (typeof value === 'string' && NAME.test(value)) return good(value);
    if (typeof value === 'number') return bad(`${value} is a number, not a name; put it in quotes`);
    return bad(
      `${show(value)} is not a name; use 1 to 64 letters, digits, ".", "_" and "-", a letter or digit first`,
    );
  });
}

const CONTROL_CHARACTER = /[\u0000-\u001f]/;

/** A path of the file system. */
export function directory() {
  return field((value) =>
    typeof value === 'string' && value.trim() !== '' && !CONTROL_CHARACTER.test(value)
      ? good(value)
      : bad(
          `${show(value)} is not a directory's path; give one, absolute or relative to the working directory`,
        ),
  );
}

/** The path of a file; empty: none. */
export function filePath() {
  return field((value) =>
    typeof value === 'string' && !CONTROL_CHARACTER.test(value)
      ? good(value.trim())
      : bad(
          `${show(value)} is not a file's path; give one, absolute or relative to the working directory, or "" for none`,
        ),
  );
}

/** What `Authorization: Bearer` can carry (RFC 6750 §2.1), and long enough not to be guessed. */
const SECRET = /^[A-Za-z0-9._~+/-]{16,1024}=*$/;

function readSecret(value: unknown): Reading<string> {
  if (typeof value === 'string' && SECRET.test(value)) return good(value);
  // Not shown: it may be a secret with a mistake in it.
  return bad(
    'is not a secret of 16 to 1024 letters, digits, ".", "_", "~", "+", "/" and "-"; make one with: openssl rand -hex 32',
  );
}

/** A token or a password. */
export function secret() {
  return field(readSecret);
}

/** The same, or empty: none. */
export function nothingOrSecret() {
  return field((value) => (value === '' ? good('') : readSecret(value)));
}

/** The SHA-256 of a token, in hex. */
export function sha256Digest() {
  return field((value) =>
    typeof value === 'string' && /^[0-9a-f]{64}$/i.test(value)
      ? good(value.toLowerCase())
      : bad('is not a SHA-256 in 64 hex digits; make it with: printf %s "$TOKEN" | sha256sum'),
  );
}

/** One of a few words. */
export function oneOf<const Word extends string>(words: readonly Word[]) {
  return field((value): Reading<Word> => {
    const known = words.find((word) => word === value);
    if (known !== undefined) return good(known);
    const choice = words.length === 1 ? words.join('') : `one of ${words.join(', ')}`;
    const nearest =
      typeof value === 'string' && words.length > 1
        ? `; the nearest is ${closest(value.toLowerCase(), words)}`
        : '';
    return bad(`${show(value)} is not known; give ${choice}${nearest}`);
  });
}

/** The origin of a web page, as a browser's `Origin` header names it. */
export function origin() {
  return field((value) => {
    const url = typeof value === 'string' && URL.canParse(value) ? new URL(value) : undefined;
    if (url === undefined || !/^https?:$/.test(url.protocol)) {
      return bad(
        `${show(value)} is not an origin; write scheme://host[:port], such as "https://app.example.com"`,
      );
    }
    return url.origin === value
      ? good(value)
      : bad(`${show(value)} is more than an origin; write "${url.origin}"`);
  });
}
