/** `npm run bench`: what a fresh cluster with the shipped defaults does per second, fsync on, alone or in turns with another system. */

import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ROOT } from './cluster.js';
import { etcdVersion } from './etcd.js';
import { loadTool } from './load.js';
import { machine } from './machine.js';
import { parseOptions, type Options } from './options.js';
import { markdown, type Results } from './report.js';
import { runAll } from './runs.js';

const RESULTS = path.join(ROOT, 'bench/results');

async function bench(options: Options, args: readonly string[], signal: AbortSignal): Promise<void> {
  const { peer, nodes, keys, target, seconds } = options;
  if (peer === 'etcd' && etcdVersion() === undefined)
    throw new Error("etcd is not installed; Debian's package is etcd-server");
  const tool = loadTool();
  const described = machine(tool, peer === 'etcd');
  console.log(described);
  const runs = await runAll(options, tool, signal, (line) => console.log(line));
  const command = ['npm run bench', ...(args.length === 0 ? [] : ['--', ...args])].join(' ');
  const date = new Date().toISOString();
  const results: Results = { machine: described, command, date, nodes, keys, target, seconds, peer, runs };
  const text = markdown(results);
  console.log(`\n${text}`);
  if (!options.save) return;
  mkdirSync(RESULTS, { recursive: true });
  writeFileSync(path.join(RESULTS, 'latest.md'), text);
  writeFileSync(path.join(RESULTS, 'latest.json'), `${JSON.stringify(results)}\n`);
}

async function main(args: readonly string[]): Promise<number> {
  const options = parseOptions(args);
  const interrupt = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      // The first one ends the run in order, the second one at once.
      if (interrupt.signal.aborted) process.exit(130);
      console.log('Stopping ...');
      interrupt.abort();
    });
  }
  try {
    await bench(options, args, interrupt.signal);
    return 0;
  } catch (error) {
    if (interrupt.signal.aborted) return 130;
    console.error(error instanceof Error ? error.message : String(error));
    return 1;
  }
}

process.exit(await main(process.argv.slice(2)));
