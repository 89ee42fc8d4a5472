/**
 * The fields of requests and answers. Each checks what a request brings, with a message that reads on after the field's name, and says the same
 * in the words of JSON Schema, so that the document of the interface (`openapi.ts`) can't promise anything else than what is checked.
 */

import { z } from 'zod';

import {
  KEY_BYTES_MAX,
  LIST_LIMIT_MAX,
  LOG_LIMIT_MAX,
  TTL_MS_MAX,
  keyFault,
  ttlFault,
} from '../../../api/limits.js';
import { CONSISTENCIES } from '../../../api/types.js';

const REVISION = /^[1-9][0-9]{0,18}$/;

/** What is wrong with a revision, in words that follow its name; undefined when it is fine. They start at 1: 0 would never match. */
export function revisionFault(text: unknown): string | undefined {
  if (typeof text !== 'string' || !REVISION.test(text))
    return 'must be a revision: a string of decimal digits, from "1" up, without leading zeros';
  return Number.isSafeInteger(Number(text)) ? undefined : 'is higher than any revision';
}

/** A string; `fault`: what else may be wrong with it. */
function text(fault: (text: string) => string | undefined): z.ZodString {
  return z
    .string({ error: ({ input }) => (input === undefined ? 'is missing' : 'must be a string') })
    .check((context) => {
      const message = fault(context.value);
      if (message !== undefined) context.issues.push({ code: 'custom', message, input: context.value });
    });
}

export const keyField = text(keyFault).meta({
  description: `A key: 1 to ${KEY_BYTES_MAX} bytes in UTF-8, no lone surrogate`,
  minLength: 1,
  maxLength: KEY_BYTES_MAX,
});

export const valueField = text((value) =>
  value.isWellFormed() ? undefined : 'must not contain a lone surrogate',
).meta({ description: 'The value, where its bytes are UTF-8; at most limits.valueBytes (1 MiB)' });

export const base64Field = text((value) =>
  // Buffer skips what is not base64, so only a value that encodes back to the same text was meant so.
  Buffer.from(value, 'base64').toString('base64') === value
    ? undefined
    : 'must be base64 (RFC 4648 §4), with padding',
).meta({ description: 'The value, where its bytes are not UTF-8', contentEncoding: 'base64' });

export const revisionField = z
  .custom<string>((value) => revisionFault(value) === undefined, {
    error: ({ input }) => String(revisionFault(input)),
  })
  .meta({
    description: 'A revision: the log index of a write, in decimal',
    type: 'string',
    pattern: REVISION.source,
  });

/** Of an answer: also before the first write. */
export const anyRevision = z.string().regex(/^(0|[1-9][0-9]*)$/);

export const ttlField = z
  .custom<number>((value) => ttlFault(value) === undefined, { error: ({ input }) => String(ttlFault(input)) })
  .meta({ description: 'Milliseconds that the key lives', type: 'integer', minimum: 1, maximum: TTL_MS_MAX });

export const absentField = z
  .boolean({ error: () => 'must be true or false' })
  .meta({ description: 'Only if there is no such key' });

export const sessionField = z.string().meta({
  description: 'clientId/seq/lowestPendingSeq: makes the write take effect once (POST /sessions)',
  pattern: '^\\d{1,15}/\\d{1,15}/\\d{1,15}$',
});

export const consistencyField = z.enum(CONSISTENCIES).meta({
  description: 'How fresh the read is',
  default: 'linearizable',
});

export const flagField = z.enum(['', 'true', 'false']).meta({ description: 'Without a value it is true' });

/** A whole number as a query has it. */
function count(max: number, description: string): z.ZodString {
  return z.string().meta({ description: `${description}: 1 to ${max}`, pattern: '^[1-9][0-9]{0,8}$' });
}

export const limitField = count(LIST_LIMIT_MAX, 'Entries of one page, at most');
export const logLimitField = count(LOG_LIMIT_MAX, 'Entries, at most');
export const boundaryField = z.string().meta({ maxLength: KEY_BYTES_MAX });
