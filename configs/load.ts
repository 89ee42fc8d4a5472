/** A node's configuration, from the file, the environment and the command line: read, judged whole, and frozen. */

import { readFileSync } from 'node:fs';
import type { Config } from './config.js';
import { readDocument, type ConfigDocument } from './document.js';
import { environmentOverrides } from './environment.js';
import { flagOverrides, type Flags } from './flags.js';
import { deepFreeze } from './freeze.js';
import type { Override, Overrides } from './overrides.js';
import { ConfigError, formatPath, isWithin, type Path, type Problem } from './problem.js';
import { brokenRelations } from './relations.js';
import { resolve } from './resolve.js';
import type { FileConfig } from './schema.js';
import { withValueAt } from './tree.js';
import { validate, withoutFaulty } from './validate.js';

function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOENT') return 'there is no such file';
  if (code === 'EISDIR') return 'it is a directory';
  if (code === 'EACCES') return 'permission is denied';
  return error instanceof Error ? error.message : String(error);
}

function readText(path: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(path));
  } catch (error) {
    const reason = error instanceof TypeError ? 'it is not UTF-8 text' : reasonOf(error);
    throw new ConfigError([
      `${path}: can't be read: ${reason}; give --config the path of a YAML or JSON file`,
    ]);
  }
}

function sourceName(path: string | undefined, flags: Flags): string {
  if (path !== undefined) return path;
  return Object.values(flags).some((flag) => flag !== undefined) ? 'command line' : 'environment';
}

interface Inputs {
  readonly path: string | undefined;
  readonly source: string;
  readonly document: ConfigDocument;
  /** Those of the command line after those of the environment: the later ones win. */
  readonly overrides: readonly Override[];
  readonly peerUrls: NonNullable<Overrides['peerUrls']>;
}

type Located = Problem & { readonly from?: string };

/** Where a problem is to be put right: the override that set it, or its place in the file. */
function render(problem: Located, inputs: Inputs): { line: number; column: number; text: string } {
  const { path, message } = problem;
  const override = inputs.overrides.findLast((candidate) => isWithin(path, candidate.path));
  const from = problem.from ?? override?.from;
  const key = path.length === 0 ? '' : `${formatPath(path)}: `;
  if (from !== undefined) return { line: Infinity, column: 0, text: `${from}: ${key}${message}` };
  if (inputs.path === undefined)
    return { line: Infinity, column: 0, text: `${inputs.source}: ${key}${message}` };
  const { line, column } = inputs.document.locate(problem);
  return { line, column, text: `${inputs.path}:${line}:${column}: ${key}${message}` };
}

/** In the file's order; what does not stand in the file comes last, and one text that sets several keys is told once. */
function lines(problems: readonly Located[], inputs: Inputs): string[] {
  const seen = new Set<string>();
  const told = problems.filter((problem) => {
    const from = inputs.overrides.findLast(({ path }) => isWithin(problem.path, path))?.from;
    const mark = `${from} ${problem.message}`;
    if (from === undefined || !seen.has(mark)) {
      seen.add(mark);
      return true;
    }
    return false;
  });
  return told
    .map((problem) => render(problem, inputs))
    .sort((a, b) => (a.line === b.line ? a.column - b.column : a.line < b.line ? -1 : 1))
    .map(({ text }) => text);
}

function missingId(settings: FileConfig, path: string | undefined): Problem[] {
  if (settings.raft.nodeID !== undefined) return [];
  const remedy =
    path === undefined
      ? 'set KV_NODE_ID, pass --id, or name a file with --config'
      : 'give this node one that no other node of its cluster has, such as nodeID: node1';
  return [{ path: ['raft', 'nodeID'], message: `is missing; ${remedy}` }];
}

const related = (a: Path, b: Path): boolean => isWithin(a, b) || isWithin(b, a);

function judge(inputs: Inputs, layerProblems: readonly Located[]): { config: Config; problems: Located[] } {
  const { document, overrides, peerUrls } = inputs;
  const filled = document.unfilled.reduce<unknown>(
    (rest, { path }) => withoutFaulty(rest, path),
    document.tree ?? {},
  );
  const tree = overrides.reduce((current, { path, value }) => withValueAt(current, path, value), filled);
  const { settings, problems: own } = validate(tree, document.interpolated);
  const config = resolve(settings, peerUrls.urls, inputs.source);
  const single: Located[] = [...document.problems, ...layerProblems, ...own];
  const peersInFile = !overrides.some(({ path }) => formatPath(path) === 'cluster.peers');
  const broken = [
    ...missingId(settings, inputs.path).map((problem) => ({ ...problem, compared: [] })),
    ...brokenRelations(config, settings, peersInFile),
  ].filter(
    ({ path, compared }) =>
      !single.some((problem) => [path, ...compared].some((key) => related(problem.path, key))),
  );
  return { config, problems: [...single, ...broken] };
}

/**
 * Reads and judges a node's configuration.
 *
 * @param path - a YAML or JSON file; undefined: the environment and the command line alone, over the defaults
 * @param env - fills `${NAME}` in, and overrides the file (`KV_*` and the older names)
 * @param flags - override both
 * @throws ConfigError with every problem there is, one line each
 */
export function loadConfig(path: string | undefined, env: NodeJS.ProcessEnv, flags: Flags = {}): Config {
  const source = sourceName(path, flags);
  const document = readDocument(path === undefined ? '' : readText(path), env);
  const fromEnvironment = environmentOverrides(env, document.tree ?? {});
  const fromFlags = flagOverrides(flags);
  const inputs: Inputs = {
    path,
    source,
    document,
    overrides: [...fromEnvironment.overrides, ...fromFlags.overrides],
    peerUrls: fromFlags.peerUrls ?? fromEnvironment.peerUrls ?? { urls: [], from: '' },
  };
  if (document.tree === undefined) throw new ConfigError(lines(document.problems, inputs));
  const { config, problems } = judge(inputs, [...fromEnvironment.problems, ...fromFlags.problems]);
  if (problems.length > 0) throw new ConfigError(lines(problems, inputs));
  return deepFreeze(config);
}

/**
 * A node without a file, everything on one port.
 *
 * @throws ConfigError as {@link loadConfig} does
 */
export function configFromFlags(flags: Flags & { readonly id: string; readonly listen: string }): Config {
  return loadConfig(undefined, {}, flags);
}
