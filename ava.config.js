export default {
  files: ['dist/test/**/*.test.js'],
  // The binding of rocksdb loads once a process only: a thread a file would be one too many.
  workerThreads: false,
  timeout: '2m',
  concurrency: 2,
  failWithoutAssertions: true,
};
