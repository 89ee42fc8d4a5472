/** A process that has a database open until it is killed. */

import type { EngineName } from '../../persistence/engine.js';
import { loadEngine } from '../../persistence/load-engine.js';
import { batched, openOn, put } from './engine.js';

const [name, directory = ''] = process.argv.slice(2);
const database = await openOn(await loadEngine(name as EngineName), directory);
await batched(database, [put('held', '1')]);
process.send?.('open');
setInterval(() => undefined, 60_000);
