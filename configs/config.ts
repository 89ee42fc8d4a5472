/** The validated, frozen configuration of one node. Durations are in milliseconds and sizes in bytes unless named otherwise. */

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent';

export interface Peer {
  readonly id: string;
  readonly raft: string;
  readonly rpc: string;
  readonly http: string;
}

/** `write` includes `read`, and `admin` both: members, snapshots and backups. */
export type Rights = 'read' | 'write' | 'admin';

/** Someone who may call, known by a token of which only the digest is kept. */
export interface ClientCredential {
  readonly name: string;
  /** Of the token's UTF-8, in hex. */
  readonly sha256: string;
  readonly rights: Rights;
}

export interface Config {
  /** Where it came from, for messages: the file's path, `command line` or `environment`. */
  readonly source: string;
  readonly rpcAddr: string;
  readonly httpAddr: string;
  readonly advertisedRpcAddr: string;
  readonly advertisedHttpAddr: string;
  readonly raft: {
    readonly nodeID: string;
    readonly bindAddr: string;
    readonly advertisedAddr: string;
    readonly dataDir: string;
    readonly logLevel: LogLevel;
    readonly snapshotIntervalSeconds: number;
    readonly snapshotThresholdBytes: number;
    readonly maxSnapshots: number;
    readonly trailingLogBytes: number;
    /** The shortest and the longest election timeout; each wait is drawn between the two. */
    readonly electionTimeoutMs: readonly [min: number, max: number];
    readonly heartbeatIntervalMs: number;
    /** A leader whose disk has not answered for so long hands over or steps down. */
    readonly diskStallTimeoutMs: number;
    /** A leader whose event loop stood still for so long steps down. */
    readonly loopStallTimeoutMs: number;
    /** Recent entries kept in memory. */
    readonly entryCacheBytes: number;
    /** One AppendEntries call carries at most so many bytes of entries (or one entry). */
    readonly appendBytesMax: number;
    /** AppendEntries calls sent to one follower and not answered yet, at most. */
    readonly inflightAppendsMax: number;
    /** The same, in bytes of entries. */
    readonly inflightBytesMax: number;
    /** Bytes of entries that a leader holds uncommitted; further writes are answered `overloaded`. */
    readonly uncommittedBytesMax: number;
    /** Where the core writes down what it does, one JSON object a line; empty: nowhere. */
    readonly traceFile: string;
  };
  readonly cluster: {
    readonly name: string;
    /** Empty: a cluster of one. */
    readonly peers: readonly Peer[];
    /** RPC addresses of a running cluster to join; exclusive with `peers`. */
    readonly join: readonly string[];
    /** `host:port` of a name in DNS behind which members of a running cluster are found; empty: none. Exclusive with `peers`. */
    readonly discovery: { readonly dns: string };
    /** HTTP addresses (`http://host:port`) of peers whose ids are not known yet and are to be asked of them; from `PEER_URLS`. */
    readonly peerUrls: readonly string[];
  };
  readonly http: {
    readonly requestTimeoutMs: number;
    readonly onFollower: 'forward' | 'redirect';
    /** Origins whose pages may call this node. */
    readonly cors: readonly string[];
    readonly connectionsMax: number;
    /** Time a client has to send its request's headers. */
    readonly headersTimeoutMs: number;
    /** An idle keep-alive connection is closed after this. */
    readonly keepAliveTimeoutMs: number;
  };
  readonly limits: {
    readonly valueBytes: number;
    /** Requests that wait for consensus in this node, at most; further ones are answered `overloaded`. */
    readonly pendingRequests: number;
    /** Keys and values together, at most; then sets are answered `disk-full`. 0: no bound. */
    readonly dataBytes: number;
    /** Stay free on the disk of `raft.dataDir`: below, sets are answered `disk-full`. 0: no reserve. */
    readonly freeBytes: number;
    /** Of the rows that were read or written lately, so much stays in memory, for reads that take no trip to the engine. 0: nothing. */
    readonly cacheBytes: number;
    /** Of one client, told by its token's name or, without one, by its address; further ones are answered `rate-limited`. 0: no bound. */
    readonly requestsPerSecond: number;
  };
  readonly auth: {
    /** Who may call `httpAddr`; empty: anybody may do everything. */
    readonly clients: readonly ClientCredential[];
    /** What nodes show to each other; empty: nothing. */
    readonly peerSecret: string;
  };
  /** Paths of PEM files. With a certificate all addresses speak TLS, and none without. */
  readonly tls: {
    readonly certFile: string;
    readonly keyFile: string;
    /** Vouches for nodes: `rpcAddr` and `raft.bindAddr` then take certificates of it alone. Empty: those of the system, and none is asked for. */
    readonly caFile: string;
  };
  readonly sessions: {
    /** A session that is idle for longer, in log time, expires. */
    readonly ttlMs: number;
    /** Sessions at a time, at most; further ones are answered `overloaded`. */
    readonly max: number;
  };
  readonly snapshots: {
    /** What transfers to followers may take of the network, altogether. */
    readonly bytesPerSecond: number;
    /** One call of a transfer carries at most so much of the file. */
    readonly chunkBytes: number;
  };
  readonly watch: {
    /** Bytes that the history of changes may have; the oldest ones go first. */
    readonly historyBytes: number;
  };
  readonly storage: {
    /** What keeps log and state; a data directory stays with the one it was made with. */
    readonly engine: 'rocksdb' | 'classic-level';
  };
}
