/** `npm run dev`: one node (configs/dev.yaml), compiled by `tsc --watch` and restarted when its compiled code changes. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { ensureBuilt, ensureInstalled, PrepareError, ROOT } from './prepare.mjs';

const CONFIG = 'configs/dev.yaml';
const STOP_PATIENCE_MS = 10_000;
/** On a terminal, one Ctrl-C arrives twice: from the terminal, and forwarded by npm. */
const SAME_SIGNAL_MS = 500;
/** The rooms that the server is made of. */
const ROOMS = ['api', 'configs', 'kv', 'membership', 'persistence', 'raft', 'server'];

try {
  await ensureInstalled();
  await ensureBuilt();
} catch (error) {
  if (!(error instanceof PrepareError)) throw error;
  console.error(`${error.message}; see above`);
  process.exit(1);
}

// Imported only now: they are compiled.
const { formatLogLine } = await import('../dist/scripts/log-lines.js');
const { ended, isRunning, onLines, stopChild } = await import('../dist/scripts/processes.js');

const style = { colour: process.stdout.isTTY === true && process.env.NO_COLOR === undefined };
let node;
let stopping = false;
let fingerprint = readFingerprint();
let turn = Promise.resolve();

/** Equal fingerprints: the server's compiled code is the same, byte for byte. */
function readFingerprint() {
  const hash = createHash('sha256');
  for (const room of ROOMS) {
    const folder = path.join(ROOT, 'dist', room);
    if (!existsSync(folder)) continue;
    for (const name of readdirSync(folder, { recursive: true }).sort()) {
      if (name.endsWith('.js')) hash.update(name).update(readFileSync(path.join(folder, name)));
    }
  }
  return hash.digest('hex');
}

function startNode() {
  const child = spawn(process.execPath, ['dist/server/main.js', '--config', CONFIG], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  for (const stream of [child.stdout, child.stderr]) {
    onLines(stream, (line) => console.log(formatLogLine(line, style)));
  }
  node = child;
  void ended(child).then((how) => {
    if (child === node && !stopping)
      console.log(`The node ended: ${how}; it starts again after the next change.`);
  });
}

async function stopNode() {
  const child = node;
  node = undefined;
  if (child !== undefined) {
    await stopChild(child, STOP_PATIENCE_MS, () =>
      console.log('The node did not stop in time and is killed.'),
    );
  }
}

async function compiled() {
  const now = readFingerprint();
  if (stopping || now === fingerprint) return;
  fingerprint = now;
  console.log('Changed: restarting the node ...');
  await stopNode();
  if (!stopping) startNode();
}

startNode();
const compiler = spawn(
  process.execPath,
  ['node_modules/typescript/bin/tsc', '-p', '.', '--watch', '--preserveWatchOutput'],
  { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'], detached: true },
);
createInterface({ input: compiler.stdout }).on('line', (line) => {
  const errors = /Found (\d+) errors?\. Watching/.exec(line)?.[1];
  if (errors === '0') turn = turn.then(compiled);
  else if (errors !== undefined)
    console.log(`${errors} error(s): the node goes on with the last good build.`);
  else if (/error TS\d+|^\s/.test(line)) console.log(line);
});
compiler.once('exit', () => {
  if (!stopping) void stop('The compiler ended unexpectedly.', 1);
});

async function stop(why, code) {
  stopping = true;
  console.log(why);
  compiler.kill('SIGTERM');
  await turn;
  await stopNode();
  process.exit(code);
}

let firstMs = 0;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    if (!stopping) {
      firstMs = performance.now();
      void stop('Stopping ...', 0);
    } else if (performance.now() - firstMs > SAME_SIGNAL_MS) {
      process.exit(1);
    }
  });
}
// However this process ends, neither outlives it.
process.on('exit', () => {
  for (const child of [node, compiler]) if (child !== undefined && isRunning(child)) child.kill('SIGKILL');
});
