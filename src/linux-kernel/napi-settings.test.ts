import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type NapiOptions, withNapiSettings } from './napi-settings.js';

test('wrong NAPI settings are refused by name before anything is looked at', () => {
  const good = { deferHardIrqs: 2, groFlushTimeoutNanoseconds: 200_000 };
  const wrong: [unknown, RegExp][] = [
    [null, /napi: null is not an object/],
    ['fast', /napi: fast is not an object/],
    [{ ...good, deferHardIrq: 1 }, /napi: there is no option deferHardIrq \(did you mean deferHardIrqs\?\)/],
    [{ deferHardIrqs: 2 }, /napi\.groFlushTimeoutNanoseconds: undefined/],
    [{ ...good, deferHardIrqs: -1 }, /napi\.deferHardIrqs: -1/],
    [{ ...good, deferHardIrqs: 2 ** 31 }, /napi\.deferHardIrqs: 2147483648/],
    [{ ...good, deferHardIrqs: '2' }, /napi\.deferHardIrqs: 2/],
    [{ ...good, groFlushTimeoutNanoseconds: -1 }, /napi\.groFlushTimeoutNanoseconds: -1/],
    [{ ...good, groFlushTimeoutNanoseconds: 0.5 }, /napi\.groFlushTimeoutNanoseconds: 0\.5/],
  ];
  const untouched = new Proxy(
    {},
    {
      get: (_, name) => {
        throw new Error(`${String(name)} was asked for`);
      },
    },
  );
  for (const [options, message] of wrong) {
    assert.throws(
      () => withNapiSettings('eth7', options as NapiOptions, untouched),
      { name: 'PacketError', code: 'INVALID_OPTION', message },
      String(message),
    );
  }
});
