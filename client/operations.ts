/** The requests for single keys, alone or as one of many. */

import { PATHS } from '../api/paths.js';
import type { PipelineOpRequest } from '../api/types.js';
import type { Answer } from './failure.js';
import type { Operation, Piped } from './operation.js';
import { checkOptions, type DeleteOptions, type ReadOptions, type SetOptions } from './options.js';
import { checkRevision, fullKey, setRequest, textOf } from './request.js';
import type { View } from './view.js';

/** What an operation adds to a batch beside its key and value: names, punctuation, its session. */
const OVERHEAD_BYTES = 100;

/** A read of one key. `isPiped`: it may share a round trip. */
export function getOperation<V, T>(
  view: View<V>,
  key: string,
  options: ReadOptions,
  isPiped: boolean,
  read: (answer: Answer) => T,
): Operation<T> {
  checkOptions('read', options);
  const full = fullKey(view.prefix, key);
  const { route, level, named } = view.freshness(options);
  const fields = { key: full };
  return {
    isWrite: false,
    route,
    method: 'GET',
    path: () => `${PATHS.get}?${new URLSearchParams({ ...fields, ...named }).toString()}`,
    piped: isPiped ? { ...pipedOf('get', fields, 0), consistency: level } : undefined,
    read,
  };
}

/** A write of one key. `isPiped`: it may share a round trip. */
export function setOperation<V>(
  view: View<V>,
  key: string,
  value: V,
  options: SetOptions,
  isPiped: boolean,
): Operation<{ revision: string }> {
  checkOptions('set', options);
  const full = fullKey(view.prefix, key);
  const body = setRequest(view.codec, full, value, options);
  const valueBytes = body.value?.length ?? body.valueBase64?.length ?? 0;
  return {
    isWrite: true,
    route: 'leader',
    method: 'POST',
    path: PATHS.set,
    body,
    piped: isPiped ? pipedOf('set', body, valueBytes) : undefined,
    read: written,
  };
}

/** The end of one key. */
export function deleteOperation<V>(
  view: View<V>,
  key: string,
  options: DeleteOptions,
  isPiped: boolean,
): Operation<boolean> {
  checkOptions('delete', options);
  const { ifRevision } = options;
  const full = fullKey(view.prefix, key);
  checkRevision(ifRevision);
  const fields = { key: full, ...(ifRevision === undefined ? {} : { ifRevision }) };
  return {
    isWrite: true,
    route: 'leader',
    method: 'DELETE',
    path: () => `${PATHS.delete}?${new URLSearchParams(fields).toString()}`,
    piped: isPiped ? pipedOf('delete', fields, 0) : undefined,
    read: deleted,
  };
}

function pipedOf(
  op: PipelineOpRequest['op'],
  fields: object & { readonly key: string },
  valueBytes: number,
): Piped {
  return {
    key: fields.key,
    text: () => `{"op":"${op}",${JSON.stringify(fields).slice(1, -1)}`,
    bytes: fields.key.length + valueBytes + OVERHEAD_BYTES,
  };
}

function written(answer: Answer): { revision: string } {
  return { revision: textOf(answer, 'revision') };
}

function deleted(answer: Answer): boolean {
  return textOf(answer, 'status') === 'deleted';
}
