import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { broken, hung, ok, problem, scripted, type Step } from '../client/scripted-server.js';
import { directory, kv, startKv } from './kv.js';
import { createStore } from './store-server.js';

/** Keys and values that something on the way could break; in byte order, which is not that of JavaScript's strings. */
const AWKWARD = [
  ['"quoted"\\', ''],
  ['\u0000', '\u0000\u0001'],
  ['\u2028line\u2029', 'separators \u2028 and \u2029'],
  ['a b+c&d=e%20', '\ufeffbyte order mark'],
  ['a/../b', 'line\nbreak\r\n'],
  ['\uffff', 'before the next in bytes'],
  ['\u{1f600}', 'after it, although its UTF-16 units are smaller'],
  ['__proto__', '{"value":1}'],
]
  .sort(([a], [b]) => Buffer.compare(Buffer.from(a!), Buffer.from(b!)))
  .map(([key, value]) => JSON.stringify({ key, value }));

const BINARY = JSON.stringify({ key: 'zz', valueBase64: Buffer.from([0xff, 0xfe, 0]).toString('base64') });

function numbered(count: number): string[] {
  return Array.from({ length: count }, (_, i) =>
    JSON.stringify({ key: `k${String(i).padStart(6, '0')}`, value: `value ${i}` }),
  );
}

test.serial('what was imported is exported byte for byte', async (t) => {
  const store = createStore();
  const { address } = await scripted(t, store.step);
  const file = join(await directory(t), 'in.jsonl');
  const lines = [...AWKWARD, BINARY, ...numbered(40)].sort((a, b) => {
    const [x, y] = [a, b].map((line) => Buffer.from((JSON.parse(line) as { key: string }).key));
    return Buffer.compare(x!, y!);
  });
  const text = `${lines.join('\n')}\n`;
  await writeFile(file, text);
  const imported = await kv(t, address, ['import', file]);
  t.is(imported.code, 0, imported.stderr);
  t.regex(imported.stdout.toString(), /^imported 49 entries \(\d+ bytes\) in \d+\.\d s, \d+ a second\n$/);
  t.is(store.entries.size, 49);

  t.is((await kv(t, address, ['export'])).stdout.toString(), text);
  const out = join(await directory(t), 'out.jsonl');
  const exported = await kv(t, address, ['export', out]);
  t.regex(exported.stderr, /^exported 49 entries in \d+\.\d s\n$/);
  t.is(await readFile(out, 'utf8'), text);
  const prefixed = await kv(t, address, ['export', '--prefix', 'k00000', '-']);
  t.is(prefixed.stdout.toString().split('\n').length, 11);
});

test.serial(
  'import reads standard input; blank lines, CRLF and a missing last line end are fine',
  async (t) => {
    const store = createStore();
    const { address } = await scripted(t, store.step);
    const input = '\ufeff{"key":"a","value":"1"}\r\n\n  \n{"value":"2","key":"b"}';
    const { code, stdout } = await kv(t, address, ['import', '-', '--output', 'json'], input);
    t.is(code, 0);
    t.is((JSON.parse(stdout.toString()) as { imported: number }).imported, 2);
    t.deepEqual([...store.entries.keys()].sort(), ['a', 'b']);
  },
);

test.serial('a malformed line: its file, its number and what is wrong with it', async (t) => {
  const { address } = await scripted(t, createStore().step);
  const file = join(await directory(t), 'in.jsonl');
  await writeFile(file, '{"key":"ok","value":"v"}\n\n{"key":"a"}\n');
  const { code, stderr } = await kv(t, address, ['import', file]);
  t.is(code, 1);
  t.true(stderr.includes(`kv: ${file}:3: expected one of "value" and "valueBase64"\n`), stderr);
  t.regex(stderr, /stopped after 1 entries/);
});

test.serial('a file that is not there', async (t) => {
  const { code, stderr } = await kv(t, 'localhost:1', ['import', '/no/such/file']);
  t.is(code, 1);
  t.regex(stderr, /ENOENT.*\/no\/such\/file/);
});

test.serial('an import outlives broken connections, elections and uncertain writes', async (t) => {
  const store = createStore();
  let count = 0;
  const appliedAndLost: Step = (response, seen, socket) => {
    socket.destroy();
    store.step(response, seen, socket);
  };
  const troubles: Step[] = [
    broken,
    appliedAndLost,
    problem('no-leader'),
    problem('timeout'),
    problem('leadership-lost'),
    problem('no-quorum'),
  ];
  const step: Step = (response, seen, socket) => {
    count += 1;
    const trouble = count % 7 === 0 ? troubles[(count / 7) % troubles.length] : undefined;
    (trouble ?? store.step)(response, seen, socket);
  };
  const nodes = [await scripted(t, step), await scripted(t, step)];
  const lines = numbered(150);
  const { code, stderr } = await kv(
    t,
    nodes.map((node) => node.address).join(','),
    ['import', '-'],
    lines.join('\n'),
  );
  t.is(code, 0, stderr);
  t.is(store.entries.size, 150);
  t.is(store.sets(), 150, 'none was applied twice');
});

test.serial('an import sets again when the session has expired over an uncertain write', async (t) => {
  const store = createStore();
  const expired = problem('session-expired');
  const node = await scripted(t, broken, expired, store.step);
  const input = numbered(3).join('\n');
  const { code, stderr } = await kv(t, node.address, ['import', '-', '--concurrency', '1'], input);
  t.is(code, 0, stderr);
  t.is(store.entries.size, 3);
  t.is(node.seen.length, 5);
  t.is(node.openings.length, 2);

  node.script(broken, expired);
  const failed = await kv(t, node.address, ['import', '-', '--timeout', '5s'], numbered(1)[0]);
  t.is(failed.code, 1);
  t.regex(failed.stderr, /standard input:1: .*session-expired/);
});

interface Written {
  readonly key: string;
  readonly value: string;
}

test.serial('an import goes on when the node it writes to dies', async (t) => {
  const store = createStore();
  const first = await scripted(t, store.step);
  const second = await scripted(t, store.step);
  const { child, done } = startKv(t, `${first.address},${second.address}`, 'import', '-');
  child.stdin!.write(`${numbered(60).join('\n')}\n`);
  await first.arrived(2);
  await first.stop();
  child.stdin!.end(numbered(300).slice(60).join('\n'));
  t.is((await done).code, 0);
  t.is(store.entries.size, 300);
});

test.serial(
  'writes: no more at a time than --concurrency, those of one key in the order of the file',
  async (t) => {
    let open = 0;
    let most = 0;
    const last = new Map<string, string>();
    const step: Step = (response, seen, socket) => {
      const ops = seen.path === '/pipeline' ? (seen.body as { ops: Written[] }).ops : [seen.body as Written];
      open += ops.length;
      most = Math.max(most, open);
      const done = () => {
        open -= ops.length;
        for (const { key, value } of ops) last.set(key, value);
        const result = { revision: '1' };
        const results = ops.map(() => ({ status: 200, result }));
        ok(seen.path === '/pipeline' ? { results } : result)(response, seen, socket);
      };
      // Later requests are answered sooner, so order can't come about by chance.
      setTimeout(done, 20 - (Number(ops[0]?.value) % 20));
    };
    const { address } = await scripted(t, step);
    const lines = Array.from({ length: 120 }, (_, i) =>
      JSON.stringify({ key: `k${i % 9}`, value: String(i) }),
    );
    const { code } = await kv(t, address, ['import', '-', '--concurrency', '5'], lines.join('\n'));
    t.is(code, 0);
    t.true(most <= 5 && most >= 2, String(most));
    for (const [key, value] of last) t.is(Number(value), 111 + ((Number(key.slice(1)) + 6) % 9), key);
  },
);

test.serial('an entry that is refused: its line, and nothing goes on for long', async (t) => {
  const store = createStore();
  store.refusals.set('k000005', 'too-large');
  const { address } = await scripted(t, store.step);
  const { code, stderr } = await kv(t, address, ['import', '-'], numbered(2_000).join('\n'));
  t.is(code, 1);
  t.regex(stderr, /kv: standard input:6: .*too-large/);
  t.true(store.entries.size < 2_000);
});

test.serial('--timeout bounds how long an entry is tried', async (t) => {
  const { address } = await scripted(t, problem('no-leader'));
  const { code, stderr } = await kv(t, address, ['import', '-', '--timeout', '1s'], numbered(3).join('\n'));
  t.is(code, 1);
  t.regex(stderr, /standard input:[123]: .*no-leader/);
});

test.serial('Ctrl-C stops an import, and says how far it came', async (t) => {
  const node = await scripted(t, ok({ revision: '1' }), hung);
  const { child, done } = startKv(t, node.address, 'import', '-', '--concurrency', '1');
  child.stdin!.write(numbered(10).join('\n'));
  await node.arrived(2);
  child.kill('SIGINT');
  const { code, stderr } = await done;
  t.is(code, 130);
  t.is(
    stderr,
    'kv: stopped after 1 entries; correct the cause and run it again: an import can be repeated\n',
  );
});

test.serial('--stale asks the node that is named, and no other', async (t) => {
  const store = createStore();
  const leader = await scripted(t, store.step);
  const page = ok({ entries: [], cursor: null, revision: '1' }, { leader: leader.address });
  const node = await scripted(t, page);
  t.is((await kv(t, node.address, ['export', '--stale'])).code, 0);
  t.is(node.seen[0]!.query.get('consistency'), 'stale');
  t.is(leader.seen.length, 0);
});

test.serial('an export that fails leaves no file, and does not touch the one that was there', async (t) => {
  const page = ok({ entries: [{ key: 'a', value: '1', revision: '1' }], cursor: 'a', revision: '1' });
  const { address } = await scripted(t, page, problem('internal'));
  const path = await directory(t);
  const file = join(path, 'out.jsonl');
  await writeFile(file, 'before');
  t.is((await kv(t, address, ['export', file])).code, 1);
  t.is(await readFile(file, 'utf8'), 'before');
  t.deepEqual(await readdir(path), ['out.jsonl']);
  const nowhere = await kv(t, address, ['export', join(path, 'no', 'such', 'place')]);
  t.is(nowhere.code, 1);
});

test.serial('an export whose reader leaves ends quietly', async (t) => {
  const entries = Array.from({ length: 100 }, (_, i) => ({
    key: `k${i}`,
    value: 'x'.repeat(10_000),
    revision: '1',
  }));
  const { address } = await scripted(t, ok({ entries, cursor: 'on and on', revision: '1' }));
  const { child, done } = startKv(t, address, 'export');
  child.stdout!.once('data', () => child.stdout!.destroy());
  const { code, stderr } = await done;
  t.is(code, 141);
  t.is(stderr, '');
});
