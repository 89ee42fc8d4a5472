import type { ExecutionContext } from 'ava';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Config } from '../../configs/config.js';
import type { Flags } from '../../configs/flags.js';
import { loadConfig } from '../../configs/load.js';
import { ConfigError } from '../../configs/problem.js';

/** The path of a file with this text, gone after the test. */
export function fileWith(t: ExecutionContext, text: string | Buffer, name = 'node.yaml'): string {
  const directory = mkdtempSync(join(tmpdir(), 'quorumkv-configs-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

export function load(
  t: ExecutionContext,
  text: string,
  env: NodeJS.ProcessEnv = {},
  flags: Flags = {},
): Config {
  return loadConfig(fileWith(t, text), env, flags);
}

/** What a configuration is refused with; `F` stands for the file's path. */
export function problemsOf(
  t: ExecutionContext,
  path: string | undefined,
  env: NodeJS.ProcessEnv,
  flags: Flags = {},
): string[] {
  const error = t.throws(() => loadConfig(path, env, flags), { instanceOf: ConfigError });
  const problems = [...error.problems];
  for (const problem of problems) t.notRegex(problem, /[\n\r]/);
  return problems.map((problem) => (path === undefined ? problem : problem.replaceAll(path, 'F')));
}

export function refused(
  t: ExecutionContext,
  text: string,
  env: NodeJS.ProcessEnv = {},
  flags: Flags = {},
): string[] {
  return problemsOf(t, fileWith(t, text), env, flags);
}
