/** `npm run bench`: what a fresh cluster with the shipped defaults does per second, fsync on, alone or in turns with another system. */

import { begin, commandLine, keepResults } from './begin.js';
import { etcdVersion } from './etcd.js';
import { loadTool } from './load.js';
import { machine } from './machine.js';
import { parseOptions, type Options } from './options.js';
import { updateReadme } from './readme.js';
import { markdown, type Results } from './report.js';
import { runAll } from './runs.js';

async function bench(options: Options, args: readonly string[], signal: AbortSignal): Promise<number> {
  const { peer, nodes, keys, target, seconds } = options;
  if (peer === 'etcd' && etcdVersion() === undefined)
    throw new Error("etcd is not installed; Debian's package is etcd-server");
  const tool = loadTool();
  const described = machine(tool, peer === 'etcd');
  console.log(described);
  const runs = await runAll(options, tool, signal, (line) => console.log(line));
  const command = commandLine('bench', args);
  const date = new Date().toISOString();
  const results: Results = { machine: described, command, date, nodes, keys, target, seconds, peer, runs };
  const text = markdown(results);
  console.log(`\n${text}`);
  if (options.save) {
    keepResults('latest', text, results);
    updateReadme();
  }
  return 0;
}

const args = process.argv.slice(2);
const options = parseOptions(args);
await begin(options.limit, (signal) => bench(options, args, signal));
