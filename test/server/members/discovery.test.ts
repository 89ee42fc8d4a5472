import test from 'ava';
import { discover } from '../../../server/members/discovery.js';

const unknown = (): Promise<never> => Promise.reject(new Error('queryA ENOTFOUND'));

test('SRV records name hosts and ports', async (t) => {
  const srv = (name: string) =>
    Promise.resolve(
      name === '_rpc._tcp.kv'
        ? [
            { name: 'a', port: 1 },
            { name: 'b', port: 2 },
          ]
        : [],
    );
  t.deepEqual(await discover('_rpc._tcp.kv:8081', { srv, addresses: unknown }), ['a:1', 'b:2']);
});

test('without SRV records, every address of the name is asked at the port', async (t) => {
  const addresses = () =>
    Promise.resolve([
      { address: '10.0.0.1', family: 4 },
      { address: 'fd00::1', family: 6 },
    ]);
  t.deepEqual(await discover('kv.internal:8081', { srv: unknown, addresses }), [
    '10.0.0.1:8081',
    '[fd00::1]:8081',
  ]);
  await t.throwsAsync(discover('kv.internal:8081', { srv: unknown, addresses: unknown }), {
    message: /ENOTFOUND/,
  });
});
