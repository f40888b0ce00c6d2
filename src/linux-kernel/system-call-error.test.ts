import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EACCES, EBUSY, EINVAL, ENOTSUPP, EOPNOTSUPP, EPERM } from './constants.js';
import { errnoName, systemCallError } from './system-call-error.js';

test('errno has the name that Linux gives it', () => {
  assert.equal(errnoName(EBUSY), 'EBUSY');
  assert.equal(errnoName(EOPNOTSUPP), 'EOPNOTSUPP');
  assert.equal(errnoName(ENOTSUPP), 'ENOTSUPP');
  assert.equal(errnoName(4000), 'errno 4000');
});

test('an error carries the call, its errno, what was wanted, and what it means here', () => {
  const meaning = { code: 'QUEUE_BUSY', why: 'somebody has it', remedy: 'ask them' } as const;
  const error = systemCallError('bind', EBUSY, 'bind to queue 3', { [EBUSY]: meaning });
  assert.equal(error.message, 'bind to queue 3: somebody has it (bind: EBUSY)');
  assert.deepEqual([error.code, error.syscall, error.errno, error.remedy], ['QUEUE_BUSY', 'bind', EBUSY, 'ask them']);
});

test('what is not permitted names the capability', () => {
  for (const errno of [EPERM, EACCES]) {
    const error = systemCallError('socket', errno, 'open a socket', {}, 'CAP_NET_RAW');
    assert.equal(error.code, 'NO_PRIVILEGE');
    assert.match(error.remedy ?? '', /CAP_NET_RAW/);
  }
});

test('anything else is a failed system call', () => {
  const error = systemCallError('mmap', EINVAL, 'map the RX ring');
  assert.equal(error.code, 'SYSTEM_CALL');
  assert.match(error.message, /^map the RX ring: mmap failed with EINVAL/);
});
