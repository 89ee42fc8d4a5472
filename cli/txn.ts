/** `kv txn`: several checks and writes at once, given as the body of `POST /txn`. */

import { z } from 'zod';
import { readStdin } from './commands.js';
import { EXIT, type Context } from './context.js';
import { jsonLine, printable, write } from './output.js';
import type { Value } from './value.js';

const set = z
  .strictObject({
    op: z.literal('set'),
    key: z.string(),
    value: z.string().optional(),
    valueBase64: z.base64().optional(),
    ttlMs: z.number().optional(),
  })
  .refine(({ value, valueBase64 }) => (value === undefined) !== (valueBase64 === undefined), {
    message: 'expected one of "value" and "valueBase64"',
  });

const transaction = z.strictObject({
  checks: z.array(z.strictObject({ key: z.string(), revision: z.string().nullable() })).default([]),
  ops: z.array(z.union([set, z.strictObject({ op: z.literal('delete'), key: z.string() })])).default([]),
});

export async function txn(context: Context, argument: string): Promise<number> {
  const { client, format, signal } = context;
  const { checks, ops } = parse(argument === '-' ? await textOfStdin(signal) : argument);
  const atomic = client.atomic();
  for (const { key, revision } of checks) atomic.check(key, revision);
  for (const op of ops) {
    if (op.op === 'delete') atomic.delete(op.key);
    else atomic.set(op.key, valueOf(op), { ttlMs: op.ttlMs });
  }
  const result = await atomic.commit({ signal });
  if (format === 'json') {
    const { ok, ...rest } = result;
    await write(process.stdout, jsonLine({ succeeded: ok, ...rest }));
  } else if (result.ok) {
    await write(
      process.stdout,
      format === 'plain' ? `${result.revision}\n` : `done, revision ${result.revision}\n`,
    );
  }
  if (result.ok) return EXIT.done;
  process.stderr.write(
    `kv: nothing was changed; these keys are not as expected: ${result.failed.map(printable).join(', ')}\n`,
  );
  return EXIT.error;
}

function parse(text: string): z.infer<typeof transaction> {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (error) {
    throw new Error(
      `the transaction is not JSON: ${error instanceof Error ? error.message : String(error)}`,
      {
        cause: error,
      },
    );
  }
  const { success, data, error } = transaction.safeParse(document);
  if (success) return data;
  const [issue] = error.issues;
  throw new Error(`the transaction is not valid: ${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`);
}

function valueOf({ value, valueBase64 }: z.infer<typeof set>): Value {
  return value ?? Buffer.from(valueBase64 ?? '', 'base64');
}

async function textOfStdin(signal: AbortSignal): Promise<string> {
  const bytes = await readStdin(signal);
  return typeof bytes === 'string' ? bytes : Buffer.from(bytes).toString();
}
