import test from 'ava';
import type { Peer } from '../../configs/config.js';
import type { Configuration } from '../../membership/configuration.js';
import { decodeConfiguration } from '../../membership/configuration.js';
import { StorageError } from '../../persistence/errors.js';
import { firstBatch, firstConfiguration, firstVotersDigest } from '../../server/bootstrap.js';

const peer = (id: string): Peer => ({ id, raft: `${id}:1`, rpc: `${id}:2`, http: `${id}:3` });
const PEERS = ['n1', 'n2', 'n3'].map(peer);

interface Greeting {
  readonly incarnation: string;
  readonly clusterId: string | null;
}

type Greetings = Readonly<Record<string, Greeting>>;

const FRESH: Greetings = {
  n1: { incarnation: 'i1', clusterId: null },
  n2: { incarnation: 'i2', clusterId: null },
  n3: { incarnation: 'i3', clusterId: null },
};

async function firstOf(id: string, greetings: Greetings = FRESH, peers = PEERS): Promise<Configuration> {
  const first = await begunBy(id, greetings, peers);
  return first!;
}

function begunBy(
  id: string,
  greetings: Greetings = FRESH,
  peers = PEERS,
): Promise<Configuration | undefined> {
  return firstConfiguration({
    self: { id, incarnation: greetings[id]!.incarnation },
    peers,
    greet: ({ id: other }) => Promise.resolve(greetings[other]!),
  });
}

test('every node comes to the same configuration, in whatever order its file lists the peers', async (t) => {
  const first = await firstOf('n1');
  t.deepEqual(await firstOf('n2'), first);
  t.deepEqual(await firstOf('n3', FRESH, PEERS.toReversed()), first);
  t.deepEqual(
    first.members.map(({ id, incarnation, raft, rpc, http, voter }) => [
      id,
      incarnation,
      raft,
      rpc,
      http,
      voter,
    ]),
    ['1', '2', '3'].map((n) => [`n${n}`, `i${n}`, `n${n}:1`, `n${n}:2`, `n${n}:3`, true]),
  );
});

test('a node asks all the others, and not itself', async (t) => {
  const asked: string[] = [];
  await firstConfiguration({
    self: { id: 'n2', incarnation: 'i2' },
    peers: PEERS,
    greet: ({ id }) => {
      asked.push(id);
      return Promise.resolve(FRESH[id]!);
    },
  });
  t.deepEqual(asked, ['n1', 'n3']);
});

test('a node that comes last joins those that have begun with it', async (t) => {
  const first = await firstOf('n1');
  const begun: Greetings = { ...FRESH, n1: { incarnation: 'i1', clusterId: first.clusterId } };
  t.deepEqual(await firstOf('n3', begun), first);
});

test('other disks are another cluster; a wiped disk is not taken for the one that promised', async (t) => {
  const first = await firstOf('n1');
  const wiped: Greetings = {
    n1: { incarnation: 'i1', clusterId: first.clusterId },
    n2: { incarnation: 'i2', clusterId: first.clusterId },
    n3: { incarnation: 'another', clusterId: null },
  };
  t.is(await begunBy('n3', wiped), undefined);
});

test('a list of peers that is not the same everywhere begins no cluster of its own', async (t) => {
  const first = await firstOf('n1');
  const begun: Greetings = { ...FRESH, n1: { incarnation: 'i1', clusterId: first.clusterId } };
  t.is(await begunBy('n2', begun, PEERS.slice(0, 2)), undefined);
});

test('other addresses are another cluster, too: no two first entries share an id', async (t) => {
  const first = await firstOf('n1');
  for (const key of ['raft', 'rpc', 'http'] as const) {
    const moved = PEERS.map((one) => (one.id === 'n3' ? { ...one, [key]: 'elsewhere:9' } : one));
    t.not((await firstOf('n1', FRESH, moved)).clusterId, first.clusterId, key);
    t.not(firstVotersDigest(moved), firstVotersDigest(PEERS), key);
    const begun: Greetings = { ...FRESH, n1: { incarnation: 'i1', clusterId: first.clusterId } };
    t.is(await begunBy('n2', begun, moved), undefined);
  }
  t.is(firstVotersDigest(PEERS.toReversed()), firstVotersDigest(PEERS));
});

test('a refusal of a peer ends the start', async (t) => {
  const refusal = new StorageError('unusable', 'replaced');
  const refused = firstConfiguration({
    self: { id: 'n1', incarnation: 'i1' },
    peers: PEERS,
    greet: ({ id }) => (id === 'n2' ? Promise.reject(refusal) : Promise.resolve(FRESH[id]!)),
  });
  t.is(await t.throwsAsync(refused), refusal);
});

test('the first batch holds the configuration as a committed entry, and no vote', async (t) => {
  const first = await firstOf('n1');
  const { entries, hardState } = firstBatch(first);
  t.is(entries.length, 1);
  t.like(entries[0], { index: 1, term: 1, type: 'configuration' });
  t.deepEqual(decodeConfiguration(entries[0]!.data), first);
  t.deepEqual(hardState, { term: 1, vote: undefined, commit: 1 });
});
