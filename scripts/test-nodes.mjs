/**
 * `npm run test:nodes [-- major ...]`: what touches the storage engines, under other releases of Node (default 22 and 24), which come
 * from the npm registry into a temporary directory. An engine that a release can't load is reported as skipped.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ensureBuilt, ensureInstalled, npmCommand, ROOT, run } from './prepare.mjs';

const MAJORS = ['22', '24'];
const SUITES = ['dist/test/persistence/*.test.js', 'dist/test/server/engine.test.js'];

const majors = process.argv.length > 2 ? process.argv.slice(2) : MAJORS;
const packageName = `node-${process.platform}-${process.arch}`;
const directory = mkdtempSync(path.join(tmpdir(), 'quorumkv-nodes-'));
process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

await ensureInstalled();
await ensureBuilt();
let failed = 0;
for (const major of majors) {
  const home = path.join(directory, major);
  const install = ['install', '--prefix', home, '--no-save', '--no-package-lock', '--loglevel=error'];
  if ((await run(npmCommand([...install, `${packageName}@${major}`]))) !== 0) {
    console.log(`FAILED Node ${major}: ${packageName}@${major} can't be installed`);
    failed += 1;
    continue;
  }
  const node = path.join(home, 'node_modules', packageName, 'bin/node');
  const version = spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout.trim();
  console.log(`\n== Node ${version}`);
  const ava = path.join(ROOT, 'node_modules/ava/entrypoints/cli.mjs');
  // Child processes that are looked up by name must be of the same release.
  const env = { ...process.env, PATH: `${path.dirname(node)}:${process.env.PATH}` };
  if ((await run([node, ava, ...SUITES], { env })) !== 0) failed += 1;
}
console.log(
  failed === 0 ? `\npassed under Node ${majors.join(', ')}` : `\nFAILED under ${failed} release(s)`,
);
process.exitCode = failed === 0 ? 0 : 1;
