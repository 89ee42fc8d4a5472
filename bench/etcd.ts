/** etcd as it is installed on this machine, with its defaults, as the peer that quorumkv is measured beside. */

import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { z } from 'zod';
import { ask, type Peer, type Product } from './cluster.js';

const COMMAND = 'etcd';
const RANGE = '/v3/kv/range';

/** Its version; undefined where it is not installed. */
export function etcdVersion(): string | undefined {
  const { stdout, error } = spawnSync(COMMAND, ['--version'], { encoding: 'utf8' });
  if (error !== undefined) return undefined;
  return /etcd Version: (\S+)/.exec(stdout)?.[1];
}

const status = z.object({ leader: z.string().optional(), header: z.object({ member_id: z.string() }) });

/** `etcd`: three addresses a node, of which it uses two. */
export const etcd: Product = {
  name: 'etcd',
  command(self, peers, directory) {
    const flags = {
      name: self.id,
      'data-dir': path.join(directory, self.id),
      'listen-client-urls': `http://${self.http}`,
      'advertise-client-urls': `http://${self.http}`,
      'listen-peer-urls': `http://${self.raft}`,
      'initial-advertise-peer-urls': `http://${self.raft}`,
      'initial-cluster': peers.map(({ id, raft }) => `${id}=http://${raft}`).join(','),
      'initial-cluster-state': 'new',
      // Its log is not measured, and would cost it something.
      'log-level': 'error',
      logger: 'zap',
    };
    return [COMMAND, ...Object.entries(flags).map(([name, value]) => `--${name}=${value}`)];
  },
  async notReady(node) {
    // A linearizable read needs a leader and a majority.
    const { ok, text } = await ask(node, RANGE, JSON.stringify({ key: base64('ready') }));
    return ok ? undefined : text;
  },
  async leads(node: Peer) {
    const { ok, text } = await ask(node, '/v3/maintenance/status', '{}');
    if (!ok) return false;
    const { leader, header } = status.parse(JSON.parse(text));
    return leader === header.member_id;
  },
};

/** Keys and values of its gateway. */
export function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
