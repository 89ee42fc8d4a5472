import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { text } from 'node:stream/consumers';
import test, { type ExecutionContext } from 'ava';
import { startCluster, type Cluster } from './cluster.js';

const CLI = 'dist/cli/main.js';

interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface Running {
  readonly finished: Promise<Finished>;
  write(lines: readonly string[]): void;
  end(): void;
}

function kv(t: ExecutionContext, args: readonly string[]): Running {
  const child = spawn(process.execPath, [CLI, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
  // One that waits for more lines when the test has failed would never end.
  t.teardown(() => child.kill());
  // Its exit code tells more than a broken pipe.
  child.stdin.on('error', () => undefined);
  const code = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  const finished = Promise.all([code, text(child.stdout), text(child.stderr)]).then(
    ([exitCode, stdout, stderr]) => ({ code: exitCode, stdout, stderr }),
  );
  return {
    finished,
    write: (lines) => void child.stdin.write(lines.join('')),
    end: () => void child.stdin.end(),
  };
}

/** Every type of mime-db, as the lines that are imported and that an export must give back. */
function mimeLines(): readonly string[] {
  const types = createRequire(import.meta.url)('mime-db') as Readonly<Record<string, unknown>>;
  return Object.keys(types)
    .toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    .map((key) => `${JSON.stringify({ key, value: JSON.stringify(types[key]) })}\n`);
}

/** Keys that a node knows of. */
async function keysOn(cluster: Cluster, id: string): Promise<number> {
  const { body } = await cluster.http.call(cluster.url(id), 'GET', '/health');
  return Number(body['keys']);
}

test.serial(
  'the whole of mime-db goes in through a kill of the leader, and comes out of every node',
  async (t) => {
    t.timeout(90_000);
    const lines = mimeLines();
    t.true(lines.length > 2_000);
    const cluster = await startCluster(t);
    const endpoints = cluster.urls.join(',');
    const leader = await cluster.leader();

    const half = Math.floor(lines.length / 2);
    const importing = kv(t, ['--endpoints', endpoints, 'import', '-']);
    let over = false;
    void importing.finished.finally(() => (over = true));
    importing.write(lines.slice(0, half));
    // Killed with writes on their way: the second half comes while the first is not through.
    await cluster.waitFor(
      'half of a half is in',
      async () => (await keysOn(cluster, leader)) > half / 2,
      20_000,
    );
    importing.write(lines.slice(half));
    importing.end();
    await cluster.waitFor('half is in', async () => (await keysOn(cluster, leader)) > half, 20_000);
    await cluster.kill9(leader);
    t.false(over, 'the import ended before the leader was killed');

    const imported = await importing.finished;
    t.is(imported.code, 0, imported.stderr);
    t.not(await cluster.leader(), leader);
    await cluster.restart(leader);
    await cluster.caughtUp();

    for (const id of cluster.ids) {
      const exporting = kv(t, ['--endpoints', cluster.url(id), 'export', '-', '--stale']);
      exporting.end();
      const exported = await exporting.finished;
      t.is(exported.code, 0, exported.stderr);
      t.true(exported.stdout === lines.join(''), `${id} gives back other bytes than were imported`);
    }
  },
);
