/** What was acknowledged, revision by revision, and whether an answer agrees with it. */

import type { Answer, HttpClient } from '../integration/http.js';

export const PREFIX = 'sweep/';

interface Version {
  readonly revision: number;
  /** Undefined: deleted. */
  readonly value: string | undefined;
}

export class Truth {
  readonly #versions = new Map<string, Version[]>();
  #newest = 0;

  get keys(): readonly string[] {
    return [...this.#versions.keys()];
  }

  /** The newest acknowledged revision. */
  get newest(): number {
    return this.#newest;
  }

  acknowledged(key: string, value: string | undefined, revision: number): void {
    const versions = this.#versions.get(key) ?? [];
    versions.push({ revision, value });
    this.#versions.set(key, versions);
    this.#newest = Math.max(this.#newest, revision);
  }

  valueAt(key: string, revision: number): Version | undefined {
    const version = this.#versions.get(key)?.findLast((one) => one.revision <= revision);
    return version?.value === undefined ? undefined : version;
  }

  /** How a listing of everything differs from what there was at its revision; undefined when it doesn't. */
  faultOf(listing: Answer): string | undefined {
    const { entries, revision } = listing.body as unknown as Listing;
    const found = new Map(entries.map((entry) => [entry.key, entry]));
    for (const key of this.#versions.keys()) {
      const wanted = this.valueAt(key, Number(revision));
      const entry = found.get(key);
      found.delete(key);
      const isRight =
        entry?.value === wanted?.value &&
        (wanted === undefined || entry?.revision === String(wanted.revision));
      if (isRight) continue;
      return `at revision ${revision}, ${key} is ${told(entry)}, not ${told(wanted)}`;
    }
    const [extra] = found.keys();
    return extra === undefined
      ? undefined
      : `at revision ${revision} there is ${extra}, which was not written`;
  }
}

interface Listing {
  readonly entries: readonly { readonly key: string; readonly value: string; readonly revision: string }[];
  readonly revision: string;
}

function told(
  version: { readonly value?: string | undefined; readonly revision: unknown } | undefined,
): string {
  if (version === undefined) return 'missing';
  return `${JSON.stringify(version.value?.slice(0, 40))} of revision ${String(version.revision)}`;
}

/** All of it in one page, so that it is of one revision. */
export function listing(
  http: HttpClient,
  url: string,
  consistency: 'stale' | 'linearizable',
  timeoutMs: number,
): Promise<Answer> {
  const query = new URLSearchParams({ prefix: PREFIX, limit: '1000', consistency });
  return http.call(url, 'GET', `/kv?${query.toString()}`, undefined, timeoutMs);
}
