/**
 * A process that outlives the tests it serves: when its standard input ends, because the cluster was closed or because
 * the test process died in any way whatever, it kills the processes and removes the folders it was told of.
 * Lines: `pid N`, `gone N`, `folder PATH`.
 */

import { rmSync } from 'node:fs';
import { createInterface } from 'node:readline';

const pids = new Set<number>();
const folders = new Set<string>();

const lines = createInterface({ input: process.stdin });
lines.on('line', (line) => {
  const space = line.indexOf(' ');
  const rest = line.slice(space + 1);
  switch (line.slice(0, space)) {
    case 'pid':
      pids.add(Number(rest));
      break;
    case 'gone':
      pids.delete(Number(rest));
      break;
    case 'folder':
      folders.add(rest);
      break;
  }
});
lines.on('close', () => {
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It is gone already.
    }
  }
  for (const folder of folders) rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  // The end of the tests is told by standard input alone.
  process.on(signal, () => undefined);
}
