/** The way to each node's consensus port, which a test can cut: nothing gets through, and nobody is told. */

import { type Server, type Socket, connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';

export class Links {
  readonly #servers: Server[] = [];
  readonly #sockets = new Set<Socket>();
  readonly #cut = new Set<string>();

  /** An address that leads to `target`, as long as the way to `id` is not cut. */
  async open(id: string, target: string): Promise<string> {
    const [host = '', port = ''] = target.split(':');
    const server = createServer((near) => {
      const far = connect({ host, port: Number(port) });
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        this.#sockets.add(from);
        from.on('data', (chunk: Buffer) => {
          if (!this.#cut.has(id)) to.write(chunk);
          // Bytes that are missing from the middle of a stream would be another fault than a partition.
          else this.#lose(near, far);
        });
        from.on('error', () => undefined);
        from.on('close', () => {
          this.#sockets.delete(from);
          to.destroy();
        });
      }
    });
    this.#servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return `127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  cut(id: string): void {
    this.#cut.add(id);
  }

  /** What was on its way is lost; new connections get through. */
  heal(): void {
    this.#cut.clear();
  }

  close(): void {
    for (const server of this.#servers) server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Silent until the way is free again, broken then. */
  #lose(near: Socket, far: Socket): void {
    near.pause();
    far.pause();
    const poll = setInterval(() => {
      if (this.#cut.size > 0 && !near.destroyed) return;
      clearInterval(poll);
      near.destroy();
      far.destroy();
    }, 50);
  }
}
