/** What a figure was measured on. */

import { readFileSync } from 'node:fs';
import { arch, cpus, release, totalmem, type } from 'node:os';
import { etcdVersion } from './etcd.js';

/** `load`: what sends the requests; undefined where nothing does. */
export function machine(load: string | undefined, withEtcd: boolean): string {
  const cores = cpus();
  const model = cores[0]?.model.trim() ?? '';
  const memoryGiB = (totalmem() / 2 ** 30).toFixed(0);
  return [
    `${cores.length} cores${model === '' ? '' : ` (${model})`}, ${memoryGiB} GiB`,
    `${type()} ${release()} ${arch()}`,
    `Node.js ${process.versions.node}`,
    `quorumkv ${version()}`,
    ...(withEtcd ? [`etcd ${etcdVersion() ?? 'of an unknown version'}`] : []),
    ...(load === undefined ? [] : [`load by ${load}, on the same machine`]),
  ].join('; ');
}

function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
