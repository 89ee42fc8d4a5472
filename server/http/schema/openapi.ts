/** The document of the interface (OpenAPI 3.1), made of the schemas that check requests. */

import { z } from 'zod';

import { ERRORS, type ErrorCode } from '../../../api/errors.js';
import { HEADERS } from '../../../api/types.js';
import { answers } from './answers.js';
import { keyField, sessionField } from './fields.js';
import { neededRights } from '../rights.js';
import { OPERATIONS, type Operation, type RequestHeader } from './operations.js';

type Json = Record<string, unknown>;

/** What any request may be refused with. */
const ANY: readonly ErrorCode[] = ['bad-request', 'cross-site'];

/** Where nodes ask for tokens (`auth.clients`) or count requests (`limits.requestsPerSecond`). */
const GUARDED: readonly ErrorCode[] = ['unauthenticated', 'rate-limited'];

/** What a request may be refused with before it is looked at. */
export function refusals({ method, path }: Pick<Operation, 'method' | 'path'>): readonly ErrorCode[] {
  const needed = neededRights(method.toUpperCase(), path);
  if (needed === undefined) return ANY;
  // Every token may read.
  return needed === 'read' ? [...ANY, ...GUARDED] : [...ANY, ...GUARDED, 'forbidden'];
}

const REQUEST_HEADERS: Record<RequestHeader, string> = {
  'If-Match':
    'Only if the key is at this revision: "<revision>", in double quotes; *: only if there is such a key',
  'If-None-Match': 'Of a write: *, only if there is no such key; of a read: an ETag that is known already',
  'KV-Session': String(sessionField.meta()?.description),
  'Last-Event-ID': 'Resume behind this event: <revision>.<n>',
};

/** `version`: of the product. */
export function openApiDocument(version: string): Json {
  const paths: Record<string, Json> = {};
  for (const operation of OPERATIONS) {
    (paths[operation.path] ??= {})[operation.method] = describe(operation);
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'quorumkv',
      version,
      license: { name: 'MIT', identifier: 'MIT' },
      description: 'A distributed, fault-tolerant key-value store. Any node answers any request.',
    },
    servers: [{ url: '/' }],
    // With a token, or without one where the node asks for none.
    security: [{ token: [] }, {}],
    paths,
    components: {
      schemas: components(),
      headers: responseHeaders(),
      securitySchemes: {
        token: {
          type: 'http',
          scheme: 'bearer',
          description: 'One of auth.clients; needed where there are any',
        },
      },
    },
  };
}

function components(): Json {
  return Object.fromEntries(
    Object.entries(answers).map(([name, schema]) => [name, jsonSchema(schema, 'output')]),
  );
}

function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): Json {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
  return rest;
}

function responseHeaders(): Json {
  const text = (description: string): Json => ({ description, schema: { type: 'string' } });
  return {
    [HEADERS.revision]: text('The applied index that the answer reflects'),
    [HEADERS.leader]: text('Id and HTTP address of the leader, when it is known'),
    [HEADERS.members]: text(
      'Index of the latest committed configuration that the node knows: a larger one than before says that the members have changed',
    ),
    [HEADERS.requestId]: text('Of the request, for the log of the node'),
    ETag: text('The revision, in double quotes'),
    'Retry-After': text('Seconds'),
    'WWW-Authenticate': text('How to authenticate'),
    Location: text('The same request at the leader'),
  };
}

function describe(operation: Operation): Json {
  const { method, path, summary } = operation;
  const words = `${method} ${path}`.match(/[a-z]+/g) ?? [];
  const needed = neededRights(method.toUpperCase(), path);
  return {
    operationId: words.join('-'),
    summary,
    ...(needed === undefined
      ? { security: [] }
      : { description: `Where tokens are asked for: of one with the rights ${needed}.` }),
    parameters: parameters(operation),
    ...(operation.body !== undefined && { requestBody: requestBody(operation, operation.body) }),
    responses: responses(operation),
  };
}

function parameters({ path, query, headers = [] }: Operation): Json[] {
  const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    ...(name === 'key'
      ? { schema: jsonSchema(keyField, 'input'), description: 'Percent-escaped; slashes may stay' }
      : { schema: { type: 'string' }, description: 'Of a node' }),
  }));
  const { properties = {}, required = [] } = z.toJSONSchema(query, { io: 'input', unrepresentable: 'any' });
  const inQuery = Object.entries(properties).map(([name, schema]) => ({
    name,
    in: 'query',
    required: required.includes(name),
    schema,
  }));
  const inHeaders = headers.map((name) => ({
    name,
    in: 'header',
    required: false,
    description: REQUEST_HEADERS[name],
    schema: { type: 'string' },
  }));
  return [...named, ...inQuery, ...inHeaders];
}

function requestBody({ raw }: Operation, body: z.ZodObject): Json {
  return {
    required: true,
    content: {
      'application/json': { schema: jsonSchema(body, 'input') },
      ...(raw === 'body' && { 'application/octet-stream': {} }),
    },
  };
}

function responses(operation: Operation): Json {
  const result: Record<string, Json> = {};
  for (const [status, answer] of Object.entries(operation.answers)) {
    result[status] = {
      description: DESCRIPTIONS[status] ?? 'Done',
      headers: headersOf([
        ...(operation.etag === true ? ['ETag'] : []),
        ...(status === '307' ? ['Location'] : []),
      ]),
      ...contentOf(answer, operation.raw === 'answer'),
    };
  }
  for (const [status, codes] of byStatus([...refusals(operation), ...operation.errors])) {
    result[status] = problemResponse(codes, result[status]);
  }
  result['default'] = problemResponse(['internal'], undefined);
  return result;
}

const DESCRIPTIONS: Readonly<Record<string, string>> = {
  201: 'Opened',
  202: 'It goes on',
  304: 'It still is at that revision',
  307: 'The leader is to be asked (redirect=true, or http.onFollower: redirect)',
  503: 'It cannot serve now',
};

const HEADERS_BY_STATUS: Readonly<Record<number, readonly string[]>> = {
  401: ['WWW-Authenticate'],
  429: ['Retry-After'],
  503: ['Retry-After'],
};

/** A status may have an answer of its own beside the problems. */
function problemResponse(codes: readonly ErrorCode[], own: Json | undefined): Json {
  const { status } = ERRORS[codes[0] ?? 'internal'];
  const ownContent = typeof own?.['content'] === 'object' ? own['content'] : {};
  return {
    description: codes.map((code) => `${code}: ${ERRORS[code].title}`).join('; '),
    headers: headersOf(HEADERS_BY_STATUS[status] ?? []),
    content: { ...ownContent, 'application/problem+json': { schema: reference('Problem') } },
  };
}

function byStatus(codes: readonly ErrorCode[]): ReadonlyMap<string, readonly ErrorCode[]> {
  const groups = new Map<string, ErrorCode[]>();
  for (const code of new Set(codes)) {
    const status = String(ERRORS[code].status);
    const group = groups.get(status);
    if (group === undefined) groups.set(status, [code]);
    else group.push(code);
  }
  return groups;
}

function headersOf(names: readonly string[]): Json {
  return Object.fromEntries(
    [HEADERS.revision, HEADERS.leader, HEADERS.members, HEADERS.requestId, ...names].map((name) => [
      name,
      { $ref: `#/components/headers/${name}` },
    ]),
  );
}

function reference(name: string): Json {
  return { $ref: `#/components/schemas/${name}` };
}

function contentOf(answer: Operation['answers'][number], raw: boolean): Json {
  switch (answer) {
    case 'none':
      return {};
    case 'text':
      return { content: { 'text/plain': { schema: { type: 'string' } } } };
    case 'events':
      return { content: { 'text/event-stream': { schema: { type: 'string' } } } };
    case 'bytes':
      return { content: { 'application/octet-stream': {} } };
    case 'document':
      return { content: { 'application/json': { schema: { type: 'object' } } } };
    default:
      return {
        content: {
          'application/json': { schema: reference(answer) },
          ...(raw && { 'application/octet-stream': {} }),
        },
      };
  }
}
