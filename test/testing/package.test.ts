/** What `quorumkv/testing` imports, and what it imports, is shipped (docs/decisions/0035-simulated-cluster-for-users.md). */

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { ROOT } from '../../bench/cluster.js';

/** The compiled files that a compiled file leads to, by paths below the root. */
function reached(file: string, found = new Set<string>()): Set<string> {
  if (found.has(file)) return found;
  found.add(file);
  const text = readFileSync(path.join(ROOT, file), 'utf8');
  for (const [, target = ''] of text.matchAll(/(?:from|import) '(\.[^']+)'/g))
    reached(path.join(path.dirname(file), target), found);
  return found;
}

test('everything that it needs is in the package', (t) => {
  const args = ['pack', '--dry-run', '--json', '--ignore-scripts'];
  const said = execFileSync('npm', args, {
    cwd: ROOT,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const [packed] = JSON.parse(said.slice(said.indexOf('['))) as { files: { path: string }[] }[];
  const files = new Set(packed?.files.map((file) => file.path));
  const needed = [...reached('dist/testing/index.js')];
  t.true(needed.includes('dist/test/simulation/cluster.js'));
  t.deepEqual(
    needed.filter((file) => !files.has(file)),
    [],
  );
  t.false(files.has('dist/test/simulation/run.js'));
});
