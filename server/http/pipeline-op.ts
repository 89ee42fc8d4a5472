/** One operation of a pipeline: from what a body brings to what the service takes. */

import type { z } from 'zod';

import { keyFault } from '../../api/limits.js';
import type { SessionTag } from '../../kv/command.js';
import type { PipelineOp } from '../service.js';
import { conditionsOf, ttlOf } from './commands.js';
import { writeConditions } from './conditions.js';
import type { JsonObject } from './json.js';
import { badField } from './request-error.js';
import { checked, pipelineOps } from './schema/requests.js';
import { parseTag } from './session.js';
import { valueOfBody } from './values.js';

/** The operation; throws what is wrong with it. */
export function opOf(op: JsonObject, valueBytesMax: number): PipelineOp {
  return plainOpOf(op, valueBytesMax) ?? checkedOpOf(op, valueBytesMax);
}

/**
 * What nearly every operation is: a key, and a value that is text. The schema costs several times as much as the rest of its way through
 * the server. Undefined for everything else, and for all that the schema refuses: the refusal is the schema's to word.
 */
export function plainOpOf(op: JsonObject, valueBytesMax: number): PipelineOp | undefined {
  const { op: kind, key, value, session } = op;
  if (typeof key !== 'string' || keyFault(key) !== undefined) return undefined;
  const isTagged = session !== undefined;
  const names = Object.keys(op).length - (isTagged ? 1 : 0);
  if (kind === 'get') return names === 2 && !isTagged ? { op: 'get', key } : undefined;
  if (isTagged && typeof session !== 'string') return undefined;
  if (kind === 'delete' && names === 2) {
    return isTagged ? { op: 'delete', key, session: parseTag(session, 'session') } : { op: 'delete', key };
  }
  if (kind !== 'set' || names !== 3 || typeof value !== 'string' || !value.isWellFormed()) return undefined;
  const bytes = Buffer.from(value, 'utf8');
  if (bytes.length > valueBytesMax) return undefined;
  return isTagged
    ? { op: 'set', key, value: bytes, session: parseTag(session, 'session') }
    : { op: 'set', key, value: bytes };
}

/** The same by the schema, for every operation. */
export function checkedOpOf(op: JsonObject, valueBytesMax: number): PipelineOp {
  const tag = op['session'] === undefined ? {} : { session: parseTag(op['session'], 'session') };
  switch (op['op']) {
    case 'set':
      return setOf(checked(pipelineOps.set, op), tag, valueBytesMax);
    case 'delete': {
      const { key, ifRevision } = checked(pipelineOps.delete, op);
      return { op: 'delete', key, ...conditionsOf({ ifRevision }), ...tag };
    }
    case 'get':
      return checked(pipelineOps.get, op);
    default:
      throw badField('op', 'must be set, delete or get');
  }
}

function setOf(
  fields: z.output<typeof pipelineOps.set>,
  tag: { readonly session?: SessionTag },
  valueBytesMax: number,
): PipelineOp {
  return {
    op: 'set',
    key: fields.key,
    value: valueOfBody(fields, valueBytesMax),
    ...ttlOf(fields),
    ...writeConditions({}, conditionsOf(fields)),
    ...tag,
  };
}
