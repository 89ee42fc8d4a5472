import test from 'ava';
import { RequestError } from '../../server/http/request-error.js';
import { ServiceError } from '../../server/service.js';

test('an expected failure captures no stack, and other errors still do', (t) => {
  const cause = new Error('why');
  const errors = [
    new RequestError('key-not-found', 'refused'),
    new ServiceError('overloaded', 'refused', { cause }),
  ];
  for (const { stack = '' } of errors) t.false(stack.includes('\n    at '), stack);
  t.is(errors[1]?.cause, cause);
  t.regex(new Error('afterwards').stack ?? '', /expected-error\.test/);
});
