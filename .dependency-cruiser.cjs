// Who may import whom (docs/ARCHITECTURE.md, "Rooms"). `npm test` runs this.
const ROOMS = {
  membership: [],
  api: [],
  configs: [],
  kv: [],
  raft: ['membership'],
  persistence: ['raft', 'membership', 'kv'],
  snapshot: ['raft', 'membership', 'kv', 'persistence'],
  server: ['raft', 'membership', 'kv', 'api', 'configs', 'persistence', 'snapshot'],
  client: ['api'],
  cli: ['client', 'api', 'configs'],
  testing: ['client', 'api', 'kv', 'server', 'test/simulation'],
};

const roomRules = Object.entries(ROOMS).map(([room, allowed]) => ({
  name: `room-${room}`,
  severity: 'error',
  comment: `${room}/ imports ${allowed.length === 0 ? 'no other room' : allowed.join(', ') + ' only'}`,
  from: { path: `^${room}/`, pathNot: '/dist/' },
  to: {
    path: '^[^/]+/.+\\.ts$',
    pathNot: [`^${room}/`, 'node_modules', ...allowed.map((name) => `^${name}/`)],
  },
}));

module.exports = {
  forbidden: [
    ...roomRules,
    {
      name: 'no-circular',
      severity: 'error',
      from: { pathNot: 'node_modules' },
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'one-file-imports-rocksdb',
      severity: 'error',
      from: { pathNot: '^persistence/rocksdb/engine\\.ts$' },
      to: { path: '(^|/)node_modules/(rocksdb|abstract-leveldown)/' },
    },
    {
      name: 'rocksdb-after-a-probe',
      severity: 'error',
      comment: 'Importing it aborts the process where its binary does not fit.',
      from: { pathNot: '^persistence/load-engine\\.ts$' },
      to: { path: '^persistence/rocksdb/engine\\.ts$' },
    },
    {
      name: 'one-file-imports-classic-level',
      severity: 'error',
      from: { pathNot: '^persistence/classic-level/engine\\.ts$' },
      to: { path: '(^|/)node_modules/(classic-level|abstract-level)/' },
    },
    {
      name: 'one-folder-imports-koa',
      severity: 'error',
      from: { pathNot: '^server/http/' },
      to: { path: '(^|/)node_modules/(koa|@koa)/' },
    },
    {
      name: 'pure-core',
      severity: 'error',
      comment: 'The core, the quorum arithmetic and the meaning of commands do no I/O.',
      from: { path: '^(raft|membership|kv)/' },
      to: { dependencyTypes: ['core', 'npm'], pathNot: '^(node:)?buffer$' },
    },
    {
      name: 'only-main-wires',
      severity: 'error',
      from: { path: '^server/', pathNot: '^server/(main|start|open-snapshots)\\.ts$' },
      to: { path: '^(persistence/(rocksdb|classic-level|memory)|snapshot/(files|memory))/' },
    },
    { name: 'not-to-test', severity: 'error', from: { pathNot: '^(test|testing)/' }, to: { path: '^test/' } },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^|/)dist/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
    },
  },
};
