export default {
  // `npm run soak:replace` sets it: what is known not to pass every time yet, and is worked on.
  files: process.env.SOAK === '1' ? ['dist/test/soak/*.soak.js'] : ['dist/test/**/*.test.js'],
  // The binding of rocksdb loads once a process only: a thread a file would be one too many.
  workerThreads: false,
  timeout: '2m',
  concurrency: 2,
  failWithoutAssertions: true,
};
