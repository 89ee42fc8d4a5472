/** Histograms of `GET /metrics`, and what came to them between two looks. */

export interface Histogram {
  readonly count: number;
  readonly sumSeconds: number;
  /** Observations up to each bound, those of the bounds before it included; the last bound is infinite. */
  readonly buckets: readonly { readonly upToSeconds: number; readonly count: number }[];
}

export interface Times {
  readonly count: number;
  readonly meanMs: number;
  /** As exact as the buckets are. */
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Those of one name, by their labels as the text has them (`stage="queue"`), in its order. */
export function histogramsIn(text: string, name: string): Map<string, Histogram> {
  const found = new Map<
    string,
    { count: number; sumSeconds: number; buckets: Histogram['buckets'][number][] }
  >();
  for (const line of text.split('\n')) {
    if (!line.startsWith(name)) continue;
    const [, part, inBraces = '', number = ''] =
      /^_(bucket|sum|count)(?:\{(.*)\})? (\S+)/.exec(line.slice(name.length)) ?? [];
    if (part === undefined) continue;
    const labels = inBraces.split(',').filter((label) => label !== '');
    const isBound = (label: string): boolean => label.startsWith('le="');
    const key = labels
      .filter((label) => !isBound(label))
      .toSorted()
      .join(',');
    const histogram = found.get(key) ?? { count: 0, sumSeconds: 0, buckets: [] };
    found.set(key, histogram);
    if (part === 'count') histogram.count = Number(number);
    else if (part === 'sum') histogram.sumSeconds = Number(number);
    else {
      const bound = labels.find(isBound)?.slice(4, -1) ?? '';
      const upToSeconds = bound === '+Inf' ? Number.POSITIVE_INFINITY : Number(bound);
      histogram.buckets.push({ upToSeconds, count: Number(number) });
    }
  }
  return found;
}

/** What was observed after `before`, which is undefined when there was nothing yet. */
export function since(before: Histogram | undefined, after: Histogram): Histogram {
  return {
    count: after.count - (before?.count ?? 0),
    sumSeconds: after.sumSeconds - (before?.sumSeconds ?? 0),
    buckets: after.buckets.map(({ upToSeconds, count }, at) => {
      return { upToSeconds, count: count - (before?.buckets[at]?.count ?? 0) };
    }),
  };
}

/** Those of several processes as one. */
export function merged([first, ...others]: readonly Histogram[]): Histogram | undefined {
  return others.reduce((sum: Histogram | undefined, one): Histogram | undefined => {
    return (
      sum && {
        count: sum.count + one.count,
        sumSeconds: sum.sumSeconds + one.sumSeconds,
        buckets: sum.buckets.map(({ upToSeconds, count }, at) => {
          return { upToSeconds, count: count + (one.buckets[at]?.count ?? 0) };
        }),
      }
    );
  }, first);
}

/** Undefined where nothing was observed. */
export function timesOf(histogram: Histogram): Times | undefined {
  const { count, sumSeconds } = histogram;
  if (count <= 0) return undefined;
  return {
    count,
    meanMs: (1000 * sumSeconds) / count,
    p50Ms: 1000 * quantile(histogram, 0.5),
    p99Ms: 1000 * quantile(histogram, 0.99),
  };
}

/** Within its bucket on a straight line, as Prometheus does it; what is above the last bound counts as that. */
function quantile({ count, buckets }: Histogram, share: number): number {
  const rank = share * count;
  let [below, lower] = [0, 0];
  for (const { upToSeconds, count: upTo } of buckets) {
    if (upTo >= rank && upTo > below) {
      if (upToSeconds === Number.POSITIVE_INFINITY) return lower;
      return lower + ((upToSeconds - lower) * (rank - below)) / (upTo - below);
    }
    below = upTo;
    if (upToSeconds !== Number.POSITIVE_INFINITY) lower = upToSeconds;
  }
  return lower;
}
