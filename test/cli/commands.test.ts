import test from 'ava';
import { hung, problem, refusing, scripted } from '../client/scripted-server.js';
import { kv, startKv } from './kv.js';
import { createStore } from './store-server.js';

test.serial('set, get, delete: values in a pipe are exactly their bytes', async (t) => {
  const store = createStore();
  const { address } = await scripted(t, store.step);
  t.deepEqual((await kv(t, address, ['set', 'greeting', 'hello'])).stdout.toString(), '1\n');
  t.deepEqual(await kv(t, address, ['get', 'greeting']), {
    code: 0,
    stdout: Buffer.from('hello'),
    stderr: '',
  });
  t.is((await kv(t, address, ['delete', 'greeting'])).stdout.toString(), 'deleted\n');
  t.is(store.entries.size, 0);
});

test.serial('a value from standard input comes back byte for byte', async (t) => {
  const { address } = await scripted(t, createStore().step);
  const bytes = Buffer.from([0, 0xff, 0x0a, 0xc3, 0x28, 0x0a]);
  t.is((await kv(t, address, ['set', 'raw', '-'], bytes)).code, 0);
  t.deepEqual((await kv(t, address, ['get', 'raw'])).stdout, bytes);
  const { stdout } = await kv(t, address, ['get', 'raw', '--output', 'json']);
  t.deepEqual(JSON.parse(stdout.toString()), {
    key: 'raw',
    valueBase64: bytes.toString('base64'),
    revision: '1',
  });
});

test.serial('a missing key: exit code 2, one line, nothing on standard output', async (t) => {
  const { address } = await scripted(t, createStore().step);
  const missing = { code: 2, stdout: Buffer.alloc(0), stderr: 'kv: key not found: nope\n' };
  t.deepEqual(await kv(t, address, ['get', 'nope']), missing);
  t.deepEqual(await kv(t, address, ['delete', 'nope']), missing);
});

test.serial('conditions', async (t) => {
  const { address } = await scripted(t, createStore().step);
  t.is((await kv(t, address, ['set', 'k', 'a', '--if-absent'])).code, 0);
  const refused = await kv(t, address, ['set', 'k', 'b', '--if-absent']);
  t.is(refused.code, 1);
  t.regex(refused.stderr, /^kv: .*revision-mismatch.*\n$/);
  t.is((await kv(t, address, ['set', 'k', 'b', '--if-revision', '1'])).code, 0);
  t.is((await kv(t, address, ['set', 'k', 'b', '--if-revision', 'x'])).code, 1);
  t.is((await kv(t, address, ['set', 'k', 'b', '--if-revision', '1', '--if-absent'])).code, 1);
});

test.serial('status in every format', async (t) => {
  const { address } = await scripted(t, createStore().step);
  const table = (await kv(t, address, ['status', '--output', 'table'])).stdout.toString();
  t.regex(table, /cluster demo: leader n1 \(127\.0\.0\.1:8080\), term 3, commit index 12; seen by n1/);
  t.regex(table, /│ n2 .*│ no/);
  const plain = (await kv(t, address, ['status'])).stdout.toString().split('\n');
  t.is(plain[0], 'n1\tleader\t127.0.0.1:8080\tyes\t12\t0\t0\t0ms\tyes\tmaking 7\t1.2.3');
  t.is(plain[1], 'n2\tunknown\t127.0.0.1:8090\tyes\t-\t-\t-\t-\tno\t-\t-');
  const json: unknown = JSON.parse((await kv(t, address, ['status', '-o', 'json'])).stdout.toString());
  t.is((json as { members: unknown[] }).members.length, 2);
});

test.serial('a table is safe for the terminal', async (t) => {
  const { address } = await scripted(t, createStore().step);
  await kv(t, address, ['set', 'k', '\u001b[2Jgone\nline']);
  const { stdout } = await kv(t, address, ['get', 'k', '--output', 'table']);
  t.regex(stdout.toString(), /\\u\{1b\}\[2Jgone\\u\{a\}line/);
});

test.serial('no node answers: exit code 1, one line that says why', async (t) => {
  const started = Date.now();
  const { code, stderr } = await kv(t, '', [
    'get',
    'k',
    '--endpoints',
    await refusing(),
    '--timeout',
    '800ms',
  ]);
  t.is(code, 1);
  t.regex(stderr, /^kv: cannot connect to http:\/\/127\.0\.0\.1:\d+: .*\n$/);
  t.true(Date.now() - started < 30_000);
});

test.serial('a write of unknown outcome says so', async (t) => {
  const { address } = await scripted(t, problem('timeout'));
  const { stderr } = await kv(t, address, ['set', 'k', 'v', '--timeout', '1s']);
  t.regex(stderr, /it is unknown whether the write was applied\n$/);
});

test.serial('usage errors: exit code 1, and what is expected', async (t) => {
  const cases: [string[], RegExp][] = [
    [['gte', 'k'], /Did you mean get\?/],
    [['get'], /missing required argument 'key'/],
    [['get', 'k', '--timeout', '5'], /500ms, 5s or 2m/],
    [['get', 'k', '--output', 'xml'], /Allowed choices are table, json, plain/],
    [['get', 'k', '--endpoints', ','], /at least one node/],
    [['get', 'k', '--endpoints', 'ftp://x'], /http:\/\/host:port/],
    [['get', ''], /key must not be empty/],
    [['import', 'f', '--concurrency', '0'], /from 1 to 128/],
  ];
  for (const [args, message] of cases) {
    const { code, stdout, stderr } = await kv(t, 'localhost:1', args);
    t.is(code, 1, args.join(' '));
    t.regex(stderr, message);
    t.is(stdout.length, 0);
  }
});

test.serial('help: every command has examples', async (t) => {
  for (const command of ['get', 'set', 'delete', 'status', 'import', 'export']) {
    const { code, stdout } = await kv(t, 'localhost:1', [command, '--help']);
    t.is(code, 0);
    t.regex(stdout.toString(), new RegExp(`Examples:\\n[^]*kv ${command}`));
    t.regex(stdout.toString(), /--endpoints/);
  }
});

for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  test.serial(`${signal}: exit code ${code}, no noise`, async (t) => {
    const node = await scripted(t, hung);
    const { child, done } = startKv(t, node.address, 'get', 'k');
    await node.arrived(1);
    child.kill(signal);
    t.deepEqual(await done, { code, stdout: Buffer.alloc(0), stderr: '' });
  });
}

test.serial('Ctrl-C while standard input is awaited', async (t) => {
  const node = await scripted(t, hung);
  const status = startKv(t, node.address, 'status');
  await node.arrived(1);
  // By the time that the other process has sent a request, this one has its handlers.
  const { child, done } = startKv(t, node.address, 'set', 'k', '-');
  child.stdin!.write('part');
  await new Promise((resolve) => child.stdin!.write('more', resolve));
  const interrupt = setInterval(() => child.kill('SIGINT'), 100);
  t.teardown(() => clearInterval(interrupt));
  t.not((await done).code, 0);
  status.child.kill('SIGINT');
  t.is((await status.done).code, 130);
});
