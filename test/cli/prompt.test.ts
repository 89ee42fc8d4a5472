/** The prompt: as a script in a pipe, and on a terminal (of `script`) with history and completion. */

import { spawn, spawnSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import test from 'ava';
import { quoted, wordsOf } from '../../cli/words.js';
import { scripted } from '../client/scripted-server.js';
import { directory, kv } from './kv.js';
import { createStore } from './store-server.js';

test('words', (t) => {
  t.deepEqual(wordsOf('  set k  "a \\"b\\" c" '), ['set', 'k', 'a "b" c']);
  t.deepEqual(wordsOf("a'b c'd '' \\ x"), ['ab cd', '', ' x']);
  t.deepEqual(wordsOf(''), []);
  t.throws(() => wordsOf('set k "x'), { message: /does not end/ });
  for (const word of ['plain', 'two words', 'qu"ote', 'back\\slash', "it's"])
    t.deepEqual(wordsOf(quoted(word)), [word]);
});

test('a script: every command, and the exit code of the worst', async (t) => {
  const store = createStore();
  const { address } = await scripted(t, store.step);
  const script = 'set k "two words"\nget k\nall\nstatus\nlog 3\n# a comment\n\ndelete k\nhelp\n';
  const { code, stdout, stderr } = await kv(t, address, [], script);
  t.is(code, 0, stderr);
  const lines = stdout.toString().split('\n');
  t.deepEqual(lines.slice(0, 3), ['1', 'two words', 'k\ttwo words\t1']);
  t.true(lines.includes('9\t3\tset\t40\t3'));
  t.true(lines.includes('deleted'));
  t.regex(stdout.toString(), /set <key> <value>/);
  t.is(store.entries.size, 0);
  const failing = await kv(t, address, [], 'get missing\nnonsense\nset k\nset k v\nexit\nset l v\n');
  t.is(failing.code, 1);
  t.regex(
    failing.stderr,
    /key not found: missing\n.*there is no command nonsense.*\n.*usage: set <key> <value>/,
  );
  t.deepEqual([...store.entries.keys()], ['k']);
});

const hasScript = spawnSync('script', ['--version']).status === 0;

(hasScript ? test : test.skip)('on a terminal: completion, history, a way out', async (t) => {
  const store = createStore();
  const { address } = await scripted(t, store.step);
  store.entries.set('greeting', { value: Buffer.from('hello there'), revision: 1 });
  const history = join(await directory(t), 'history');
  const command = `${process.execPath} ${resolve('dist/cli/main.js')}`;
  const child = spawn('script', ['-qec', command, '/dev/null'], {
    env: { ...process.env, KV_ENDPOINTS: address, KV_HISTORY: history, TERM: 'xterm' },
  });
  t.teardown(() => child.kill('SIGKILL'));
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const shown = async (text: string) => {
    while (!output.includes(text)) await new Promise((again) => child.stdout.once('data', again));
    output = output.slice(output.indexOf(text) + text.length);
  };
  await shown('kv> ');
  child.stdin.write('ge\t');
  await shown('get ');
  child.stdin.write('gree\t');
  await shown('greeting');
  child.stdin.write('\r');
  await shown('hello there');
  await shown('kv> ');
  child.stdin.write('half a line\x03');
  child.stdin.write('exit\r');
  const code = await new Promise((ended) => child.on('close', ended));
  t.is(code, 0);
  t.true(readFileSync(history, 'utf8').includes('get greeting\n'));
  t.is(statSync(history).mode & 0o777, 0o600);
});
