/** Free ports, from the kernel. */

import { createServer, type Server } from 'node:net';

/** So many different ports of 127.0.0.1, free now; whoever binds them later must be ready to find one taken. */
export async function freePorts(count: number): Promise<readonly number[]> {
  // All are held until the last one is known, so that no port is handed out twice.
  const servers = await Promise.all(Array.from({ length: count }, listen));
  const ports = servers.map((server) => {
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('a TCP server has a port');
    return address.port;
  });
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

function listen(): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => resolve(server));
  });
}
