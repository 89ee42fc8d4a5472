/** What `generate.ts` uses of autocannon, which has no types of its own. */
declare module 'autocannon' {
  interface Request {
    method: string;
    path: string;
    body?: string;
  }
  interface Options {
    readonly url: string | readonly string[];
    readonly connections: number;
    readonly duration: number;
    readonly timeout: number;
    readonly requests: readonly { setupRequest(request: Request): Request }[];
  }
  interface Result {
    /** In seconds. */
    readonly duration: number;
    readonly errors: number;
    readonly non2xx: number;
    readonly requests: { readonly total: number };
    /** Bytes of answers. */
    readonly throughput: { readonly total: number };
    /** In milliseconds. */
    readonly latency: { readonly p50: number; readonly p99: number };
  }
  function autocannon(options: Options): Promise<Result>;
  export = autocannon;
}
