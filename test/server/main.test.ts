import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import test from 'ava';
import { freePorts } from '../integration/ports.js';
import { fileWith, kvServer, listening, ready, seedFile, temporaryDirectory } from './process.js';

const STOP_MS = 5000;

const packageVersion = (JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }).version;

test.serial('--check prints what the file amounts to and exits 0, without a data directory', async (t) => {
  const directory = temporaryDirectory(t);
  const { file, ports } = await seedFile(directory);
  const { code, stdout, complaints } = await kvServer(t, ['--config', file, '--check']).exit;
  t.is(code, 0);
  t.deepEqual(complaints, []);
  t.regex(stdout, new RegExp(`httpAddr: 127\\.0\\.0\\.1:${ports[0]}`));
  t.regex(stdout, /electionTimeout:/);
});

test.serial('--help and --version exit 0', async (t) => {
  const help = await kvServer(t, ['--help']).exit;
  t.is(help.code, 0);
  t.regex(help.stdout, /--config <file>/);
  t.regex(help.stdout, /Exit codes:/);
  const version = await kvServer(t, ['--version']).exit;
  t.is(version.code, 0);
  t.is(version.stdout, `${packageVersion}\n`);
});

test.serial('an option that there is not exits 1, and says how to go on', async (t) => {
  const { code, complaints } = await kvServer(t, ['--confg', 'x']).exit;
  t.is(code, 1);
  t.regex(complaints[0]!, /unknown option '--confg'/);
  t.regex(complaints.join('\n'), /--help/);
});

test.serial('an argument too many exits 1', async (t) => {
  t.is((await kvServer(t, ['serve']).exit).code, 1);
});

for (const extra of [[], ['--check']]) {
  test.serial(`a bad file exits 1 with a line for each problem ${extra.join('')}`, async (t) => {
    const file = fileWith(
      temporaryDirectory(t),
      'httpAdr: ":1"\nraft:\n  nodeID: 7\n  heartbeatInterval: never\n',
    );
    const { code, stdout, complaints } = await kvServer(t, ['--config', file, ...extra]).exit;
    t.is(code, 1);
    t.is(stdout, '');
    t.is(complaints.length, 3, complaints.join('\n'));
    for (const line of complaints) t.true(line.startsWith(`kv-server: ${file}:`), line);
    for (const key of ['httpAdr', 'raft.nodeID', 'raft.heartbeatInterval'])
      t.true(
        complaints.some((line) => line.includes(key)),
        key,
      );
  });
}

test.serial('a file that is not there exits 1', async (t) => {
  const file = path.join(temporaryDirectory(t), 'none.yaml');
  const { code, complaints } = await kvServer(t, ['--config', file]).exit;
  t.is(code, 1);
  t.is(complaints.length, 1);
  t.true(complaints[0]!.includes(file));
});

for (const [at, key] of ['httpAddr', 'rpcAddr', 'raft.bindAddr'].entries()) {
  test.serial(`a port in use exits 1 and names ${key}`, async (t) => {
    const taken = await listening();
    t.teardown(() => taken.close());
    const { file, ports } = await seedFile(temporaryDirectory(t));
    const text = readFileSync(file, 'utf8').replaceAll(
      `:${ports[at]}`,
      `:${(taken.address() as AddressInfo).port}`,
    );
    const { code, complaints } = await kvServer(t, ['--config', fileWith(path.dirname(file), text)]).exit;
    t.is(code, 1);
    t.is(complaints.length, 1, complaints.join('\n'));
    t.true(complaints[0]!.includes(`${key}: can't listen on`), complaints[0]);
  });
}

test.serial(
  'the seed form serves a cluster of one, stops with 0, and has everything after a restart',
  async (t) => {
    const { file, url } = await seedFile(temporaryDirectory(t));
    const first = kvServer(t, ['--config', file]);
    await ready(url);
    const set = await fetch(`${url}/set`, { method: 'POST', body: JSON.stringify({ key: 'k', value: 'v' }) });
    t.is(set.status, 200);
    const read = async (): Promise<unknown> => (await fetch(`${url}/get?key=k`)).json();
    t.like(await read(), { key: 'k', value: 'v' });

    const stopMs = performance.now();
    first.kill('SIGTERM');
    const { code, complaints } = await first.exit;
    t.is(code, 0, complaints.join('\n'));
    t.true(performance.now() - stopMs < STOP_MS);

    kvServer(t, ['--config', file]);
    await ready(url);
    t.like(await read(), { key: 'k', value: 'v' });
  },
);

test.serial('SIGTERM under load answers every request that was sent, and exits 0', async (t) => {
  const { file, url } = await seedFile(temporaryDirectory(t));
  const server = kvServer(t, ['--config', file]);
  await ready(url);
  const statuses: number[] = [];
  // Until it is told to go elsewhere, or nobody listens. A request that was taken and not answered would be a reset.
  const client = async (id: number): Promise<void> => {
    for (let at = 0; statuses.at(-1) !== 503; at += 1) {
      const body = JSON.stringify({ key: `k${id}`, value: String(at) });
      const response = await fetch(`${url}/set`, { method: 'POST', body }).catch((error: unknown) => {
        t.is((error as { cause?: { code?: string } }).cause?.code, 'ECONNREFUSED');
      });
      if (response === undefined) return;
      statuses.push(response.status);
      const answer: unknown = await response.json();
      if (response.status !== 200) t.like(answer, { code: 'shutting-down', outcome: 'not-applied' });
    }
  };
  const clients = Promise.all(Array.from({ length: 8 }, (_, id) => client(id)));
  while (statuses.length < 200) await new Promise((resolve) => setImmediate(resolve));
  server.kill('SIGTERM');
  await clients;
  const { code, complaints } = await server.exit;
  t.is(code, 0, complaints.join('\n'));
  for (const status of statuses) t.true(status === 200 || status === 503, String(status));
});

test.serial('a data directory in use by a running node exits 2', async (t) => {
  const directory = temporaryDirectory(t);
  const { file, url, dataDir } = await seedFile(directory);
  kvServer(t, ['--config', file]);
  await ready(url);
  const [port] = await freePorts(1);
  const second = kvServer(t, ['--id', 'node1', '--listen', `127.0.0.1:${port}`, '--data-dir', dataDir]);
  const { code, complaints } = await second.exit;
  t.is(code, 2, complaints.join('\n'));
  t.is(complaints.length, 1);
  t.regex(complaints[0]!, /in use by a running process/);
});

test.serial(
  'the data directory of another node, cluster or format, and one whose log is gone, exit 2',
  async (t) => {
    const { file, url, dataDir } = await seedFile(temporaryDirectory(t));
    const first = kvServer(t, ['--config', file]);
    await ready(url);
    first.kill('SIGTERM');
    await first.exit;

    const [port] = await freePorts(1);
    const other = await kvServer(t, ['--id', 'node2', '--listen', `127.0.0.1:${port}`, '--data-dir', dataDir])
      .exit;
    t.is(other.code, 2);
    t.is(other.complaints.length, 1);
    t.regex(other.complaints[0]!, /belongs to the node node1, not node2/);

    const foreign = fileWith(
      path.dirname(file),
      `${readFileSync(file, 'utf8')}cluster: { name: other }\n`,
      'foreign.yaml',
    );
    const identity = path.join(dataDir, 'identity.json');
    const text = readFileSync(identity, 'utf8');
    const refusals: readonly (readonly [string, string, RegExp])[] = [
      [foreign, text, /belongs to the cluster \S+, not other/],
      [file, text.replace('"formatVersion": 1', '"formatVersion": 2'), /has format 2, newer than the 1/],
      [file, text.replace('node1', 'node7'), /identity\.json is damaged: its checksum/],
    ];
    for (const [config, content, message] of refusals) {
      writeFileSync(identity, content);
      const refused = await kvServer(t, ['--config', config]).exit;
      t.is(refused.code, 2);
      t.is(refused.complaints.length, 1);
      t.regex(refused.complaints[0]!, message);
    }
    writeFileSync(identity, text);

    rmSync(path.join(dataDir, 'log'), { recursive: true });
    rmSync(path.join(dataDir, 'state'), { recursive: true });
    const lost = await kvServer(t, ['--config', file]).exit;
    t.is(lost.code, 2);
    t.is(lost.complaints.length, 1);
    t.regex(lost.complaints[0]!, /the log ends with no entry, but entry \d+ of term \d+ was durable in it/);
  },
);

test.serial(
  'SIGTERM while it waits for its peers exits 0, and until then it says what it waits for',
  async (t) => {
    const [own, other] = await freePorts(2);
    const args = ['--id', 'n1', '--listen', `127.0.0.1:${own}`, '--data-dir', temporaryDirectory(t)];
    const peers = `n1=127.0.0.1:${own},n2=127.0.0.1:${other}`;
    const server = kvServer(t, [...args, '--peers', peers]);
    await server.logs('waiting for a peer');
    const url = `http://127.0.0.1:${own}`;
    t.regex(await (await fetch(`${url}/readyz`)).text(), /waits for every peer: n2/);
    t.is((await fetch(`${url}/get?key=k`)).status, 503);
    t.is((await fetch(`${url}/livez`)).status, 200);
    const stopMs = performance.now();
    server.kill('SIGTERM');
    const { code, complaints } = await server.exit;
    t.is(code, 0, complaints.join('\n'));
    t.true(performance.now() - stopMs < STOP_MS);
  },
);

test.serial(
  'nodes whose files list other peers do not begin, say so, and begin once the file is right',
  async (t) => {
    const directory = temporaryDirectory(t);
    const [first = 0, second = 0, wrong = 0] = await freePorts(3);
    const start = (id: string, port: number, other: string): ReturnType<typeof kvServer> =>
      kvServer(t, [
        ...['--id', id, '--listen', `127.0.0.1:${port}`, '--data-dir', path.join(directory, id)],
        ...['--peers', `${id}=127.0.0.1:${port},${other}`],
      ]);
    const n1 = start('n1', first, `n2=127.0.0.1:${second}`);
    // The same node under another name of its host: it is reached, yet the first entries would differ.
    const n2 = start('n2', second, `n1=localhost:${first},n3=127.0.0.1:${wrong}`);
    await Promise.all([
      n1.logs('its cluster.peers is not the list'),
      n2.logs('its cluster.peers is not the list'),
    ]);
    const reason = await (await fetch(`http://127.0.0.1:${first}/readyz`)).text();
    t.regex(reason, /n2 .*cluster\.peers .*ids and addresses the same on every node/);
    n2.kill('SIGTERM');
    t.is((await n2.exit).code, 0);
    start('n2', second, `n1=127.0.0.1:${first}`);
    await Promise.all([first, second].map((port) => ready(`http://127.0.0.1:${port}`)));
  },
);
