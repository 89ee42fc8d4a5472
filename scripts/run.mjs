/**
 * `node scripts/run.mjs dist/x/main.js [arguments]`: installs and builds what is out of date, then becomes that program:
 * it is imported, not spawned, so that signals, exit code and terminal are its own.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { ensureBuilt, ensureInstalled, PrepareError, ROOT } from './prepare.mjs';

const [target, ...args] = process.argv.slice(2);
if (target === undefined) {
  console.error('usage: node scripts/run.mjs <compiled file> [arguments]');
  process.exit(1);
}

try {
  await ensureInstalled();
  await ensureBuilt();
} catch (error) {
  if (!(error instanceof PrepareError)) throw error;
  console.error(`${error.message}; see above`);
  process.exit(1);
}

const file = path.resolve(ROOT, target);
if (!existsSync(file)) {
  console.error(`${target} was not built: is its source there?`);
  process.exit(1);
}
process.argv = [process.execPath, file, ...args];
await import(pathToFileURL(file).href);
