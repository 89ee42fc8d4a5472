/** The engines that this Node can load, for suites that run on each; a test that is skipped tells of one that it can't. */

import type { TestFn } from 'ava';
import type { Engine } from '../../persistence/engine.js';
import { ENGINE_NAMES } from '../../persistence/engine.js';
import { EngineUnavailableError } from '../../persistence/errors.js';
import { loadEngine } from '../../persistence/load-engine.js';

const loaded = await Promise.all(
  ENGINE_NAMES.map(async (name) => {
    try {
      return await loadEngine(name);
    } catch (error) {
      if (error instanceof EngineUnavailableError) return error;
      throw error;
    }
  }),
);

/** Registers tests for each engine. */
export function onEachEngine(test: TestFn, register: (engine: Engine) => void): void {
  for (const engine of loaded) {
    if (engine instanceof Error) test.skip(engine.message, (t) => t.pass());
    else register(engine);
  }
}

/** For tests that need any one engine: the default where it loads. */
export const anyEngine = ((): Engine => {
  const engine = loaded.find((each) => !(each instanceof Error));
  if (engine === undefined || engine instanceof Error) throw new Error('no engine can be loaded');
  return engine;
})();
