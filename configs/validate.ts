/** A tree against the schema: the typed settings, and every problem at once. */

import type { z } from 'zod';
import { formatPath, type Path, type Problem } from './problem.js';
import { FILE_SCHEMA, type FileConfig } from './schema.js';
import { nearestKey } from './suggest.js';
import { getAt, withoutKeyAt, withValueAt } from './tree.js';

/** What judging a tree gave. */
export interface Validated {
  /** What is sound in the tree; the rest is left out of it. */
  readonly settings: FileConfig;
  readonly problems: readonly Problem[];
}

type Issue = z.core.$ZodIssue;

function pathOf(issue: Issue): Path {
  return issue.path.map((step) => (typeof step === 'symbol' ? String(step) : step));
}

function problemsOf(issue: Issue): Problem[] {
  const path = pathOf(issue);
  if (issue.code !== 'unrecognized_keys') return [{ path, message: issue.message }];
  return issue.keys.map((key) => ({
    path: [...path, key],
    message: `is not a known key; did you mean ${nearestKey(path, key)}?`,
  }));
}

/** Text that the environment had a part in is a number where the schema wants one. */
function withNumbers(tree: unknown, interpolated: readonly Path[]): unknown {
  const refused = new Set(
    FILE_SCHEMA.safeParse(tree).error?.issues.map((issue) => formatPath(pathOf(issue))),
  );
  return interpolated.reduce((current, path) => {
    const value = getAt(current, path);
    const isNumber =
      typeof value === 'string' && /^\d+(\.\d+)?$/.test(value) && refused.has(formatPath(path));
    return isNumber ? withValueAt(current, path, Number(value)) : current;
  }, tree);
}

/** Leaves out what a problem is about: the key, or the list that the faulty item is in. */
export function withoutFaulty(tree: unknown, path: Path): unknown {
  const item = path.findIndex((step) => typeof step === 'number');
  return withoutKeyAt(tree, item < 0 ? path : path.slice(0, item));
}

/** Judges a tree; one pass finds everything that is wrong with single settings. */
export function validate(tree: unknown, interpolated: readonly Path[]): Validated {
  const candidate = withNumbers(tree, interpolated);
  const parsed = FILE_SCHEMA.safeParse(candidate);
  if (parsed.success) return { settings: parsed.data, problems: [] };
  const problems = parsed.error.issues.flatMap(problemsOf);
  const sound = problems.reduce((rest, { path }) => withoutFaulty(rest, path), candidate);
  return { settings: FILE_SCHEMA.parse(sound ?? {}), problems };
}
