/** Listings, page by page. */

import { PATHS } from '../api/paths.js';
import type { KVEntry } from './entry.js';
import type { Answer } from './failure.js';
import { checkOptions, type ListOptions } from './options.js';
import { entryOf, FIRST_PAGE_LIMIT, listQuery, nextPageLimit } from './request.js';
import type { View } from './view.js';

interface Page<V> {
  readonly entries: KVEntry<V>[];
  readonly cursor: string | null;
  readonly origin: string;
  readonly bytes: number;
}

export async function* listEntries<V>(
  view: View<V>,
  options: ListOptions,
): AsyncGenerator<KVEntry<V>, void, undefined> {
  checkOptions('list', options);
  const query = listQuery(view.prefix, options);
  const { route, named } = view.freshness(options);
  for (const [name, value] of Object.entries(named)) query.set(name, value);
  let cursor: string | null = options.cursor ?? null;
  let left = options.limit ?? Number.POSITIVE_INFINITY;
  let pageLimit = FIRST_PAGE_LIMIT;
  let preferred: string | undefined;
  do {
    query.set('limit', String(Math.min(left, pageLimit)));
    if (cursor !== null) query.set('cursor', cursor);
    const page: Page<V> = await view.call(
      {
        isWrite: false,
        method: 'GET',
        route,
        preferred,
        path: `${PATHS.kv}?${query.toString()}`,
        read: (answer, origin) => pageOf(view, answer, origin),
      },
      options,
    );
    yield* page.entries;
    left -= page.entries.length;
    cursor = page.cursor;
    preferred = page.origin;
    pageLimit = nextPageLimit(page.entries.length, page.bytes);
  } while (cursor !== null && left > 0);
}

function pageOf<V>({ codec, prefix }: View<V>, answer: Answer, origin: string): Page<V> {
  if (answer.kind !== 'ok' || !Array.isArray(answer.body['entries']))
    throw new Error('the entries are missing');
  const { cursor } = answer.body;
  if (cursor !== null && typeof cursor !== 'string') throw new Error('the cursor is missing');
  const entries = answer.body['entries'].map((entry: unknown) => entryOf(codec, prefix, entry));
  return { entries, cursor, origin, bytes: answer.bytes };
}
