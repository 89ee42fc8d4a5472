/**
 * Loads the engine that `storage.engine` names. RocksDB's prebuilt binary aborts the whole process under some builds of Node
 * (22 and 24 among them), which nothing can catch; so a child process goes first (`docs/decisions/0020`).
 */

import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import type { Engine, EngineName } from './engine.js';
import { EngineUnavailableError } from './errors.js';

/** The child takes some 80 ms; one that hangs must not hold up the start for ever. */
const PROBE_MS_MAX = 30_000;

const REMEDY: Readonly<Record<EngineName, string>> = {
  rocksdb:
    'set storage.engine: classic-level for a new data directory, or rebuild it for this Node: npm rebuild rocksdb --build-from-source',
  'classic-level': 'reinstall it: npm rebuild classic-level',
};

/** @throws EngineUnavailableError when it can't be loaded here. */
export async function loadEngine(name: EngineName): Promise<Engine> {
  switch (name) {
    case 'rocksdb': {
      const fault = await probe('rocksdb');
      if (fault !== undefined) throw unavailable(name, fault);
      return load(name, async () => (await import('./rocksdb/engine.js')).rocksdbEngine);
    }
    case 'classic-level':
      return load(name, async () => (await import('./classic-level/engine.js')).classicLevelEngine);
  }
}

async function load(name: EngineName, load: () => Promise<Engine>): Promise<Engine> {
  try {
    return await load();
  } catch (error) {
    throw unavailable(name, error instanceof Error ? error.message : String(error), error);
  }
}

function unavailable(name: EngineName, why: string, cause?: unknown): EngineUnavailableError {
  const here = `Node ${process.version} on ${process.platform}-${process.arch}`;
  const [line = ''] = why.split('\n', 1);
  return new EngineUnavailableError(
    `storage.engine: ${name} can't be loaded under ${here}: ${line}; ${REMEDY[name]}`,
    cause,
  );
}

/** Why a package can't be required under this Node; undefined when it can. */
export async function probe(packageName: string): Promise<string | undefined> {
  let file: string;
  try {
    file = createRequire(import.meta.url).resolve(packageName);
  } catch {
    return 'it is not installed';
  }
  return new Promise((resolve) => {
    // Without the options of this process, which may be about a debugger's port or a loader.
    const env = { ...process.env, NODE_OPTIONS: '' };
    const options = { env, timeout: PROBE_MS_MAX, killSignal: 'SIGKILL' as const };
    execFile(process.execPath, ['-e', 'require(process.argv[1])', file], options, (error, _, stderr) => {
      if (error === null) resolve(undefined);
      else if (error.killed === true) resolve(`loading it took more than ${PROBE_MS_MAX / 1000} s`);
      else if (error.signal) resolve(`its binary ends the process with ${error.signal}`);
      else resolve(/^\w*Error: .*/m.exec(stderr)?.[0] ?? `loading it ends with exit code ${error.code}`);
    });
  });
}
