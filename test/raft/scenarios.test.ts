/** Plays `scenarios/*.txt`. UPDATE_SCENARIOS=1 writes what happens into them, to be read before it is committed. */

import test from 'ava';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { play } from './scenario-script.js';

const FOLDER = path.join(process.cwd(), 'test/raft/scenarios');
const update = process.env['UPDATE_SCENARIOS'] === '1';

const files = readdirSync(FOLDER).filter((name) => name.endsWith('.txt'));

test('there are scenarios', (t) => {
  t.true(files.length >= 20, `${files.length}`);
});

for (const name of files) {
  test(name, (t) => {
    const file = path.join(FOLDER, name);
    const script = readFileSync(file, 'utf8');
    t.regex(script, /^# .*(§|Figure)/s, 'it says what it shows, and where that is written');
    const { text, checks } = play(script);
    t.true(checks > 0, 'it expects something');
    if (update) writeFileSync(file, text);
    else t.is(text, script);
  });
}

test('what a scenario does not expect fails it', (t) => {
  const begin = 'nodes 3\ncampaign n1\n';
  t.notThrows(() => play(`${begin}expect n1 pre-candidate term 1`));
  t.throws(() => play(`${begin}expect n1 leader`), { message: /line 3: expect n1 leader/ });
  t.throws(() => play(`${begin}expect log n1 1@2`), { message: /1@1/ });
  t.throws(() => play(`${begin}expect sent n1>n2 requestVote`), { message: /preVote/ });
  t.throws(() => play('nodes 3\nfly n1'), { message: /line 2: there is no command "fly"/ });
  t.throws(() => play('  n1 leads'), { message: /nothing above/ });
  t.throws(() => play('nodes 3\ntick n9'), { message: /no node n9/ });
  t.not(play(`${begin}state n1\n  n1 leader`).text, `${begin}state n1\n  n1 leader`);
});
