import { describe, expect, it } from 'vitest';
import { globExpression } from './glob.ts';

describe('globExpression', () => {
  it.each([
    ['e1000*', 'e1000e', true],
    ['e1000*', 'xe1000', false],
    ['kernel/drivers/net/*', 'kernel/drivers/net/ethernet/intel/e1000.ko', true],
    ['dm-?', 'dm-5', true],
    ['dm-?', 'dm-mod', false],
    ['usb:v*d*dc*ic0[389]*', 'usb:v1d2dc0ic09isc', true],
    ['usb:v*d*dc*ic0[389]*', 'usb:v1d2dc0ic07isc', false],
    ['of:N*T*C[!a-z]', 'of:NfooT(null)C1', true],
    ['of:N*T*C[!a-z]', 'of:NfooT(null)Cx', false],
    ['a.b', 'axb', false],
    ['a[b', 'a[b', true],
    ['(x)+$^{1}|\\', '(x)+$^{1}|\\', true],
  ])('%s and %s: %s', (pattern, text, matches) => {
    expect(globExpression(pattern).test(text)).toBe(matches);
  });
});
