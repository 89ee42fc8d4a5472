/** What a storage engine says of the databases that are open. */

import path from 'node:path';
import type { Engine, EngineDatabase } from './engine.js';

export interface EngineProperties {
  /** The first folder of its directory below the data directory: `log` or `state`. */
  readonly database: string;
  readonly values: Readonly<Record<string, number>>;
}

/** The engine, and the properties of what it has opened and not yet been asked to close: a closed database must not be asked. */
export function telling(
  engine: Engine,
  dataDir: string,
): { readonly engine: Engine; readonly properties: () => readonly EngineProperties[] } {
  const open = new Map<EngineDatabase, string>();
  return {
    properties: () =>
      [...open].map(([database, name]) => ({ database: name, values: database.properties() })),
    engine: {
      name: engine.name,
      async open(options) {
        const database = await engine.open(options);
        const [name = ''] = path.relative(dataDir, options.directory).split(path.sep);
        open.set(database, name);
        return {
          ...database,
          close() {
            open.delete(database);
            return database.close();
          },
        };
      },
    },
  };
}
