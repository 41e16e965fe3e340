import { describe, expect, it } from 'vitest';
import {
  contains,
  formatAddress,
  formatSubnet,
  freeAddress,
  lastAddress,
  overlaps,
  parseAddress,
  parseSubnet,
  readSubnet,
} from './subnet.ts';

describe('subnets', () => {
  it.each(['10.89.0.0/24', '192.168.0.0/16', '10.0.0.0/8', '172.30.1.4/30'])(
    'reads and writes %s',
    (text) => {
      expect(formatSubnet(parseSubnet(text))).toBe(text);
    },
  );

  it.each([
    '',
    '10.89.0.0',
    '10.89.0.1/24',
    '10.89.0.0/31',
    '0.0.0.0/0',
    '10.89/16',
    'fd00::/64',
    '10.0.0.0/x',
  ])('refuses %j', (text) => {
    expect(() => parseSubnet(text)).toThrow(expect.objectContaining({ code: 'IMGBOOT_USAGE' }));
  });

  it('has addresses above half of all', () => {
    expect(formatAddress(parseAddress('255.255.255.255'))).toBe('255.255.255.255');
    expect(formatAddress(lastAddress(parseSubnet('192.168.4.0/22')))).toBe('192.168.7.255');
  });

  it.each([
    ['10.89.0.0/24', '10.89.1.0/24', false],
    ['10.89.0.0/16', '10.89.1.0/24', true],
    ['10.89.1.0/24', '10.0.0.0/8', true],
    ['10.89.1.7', '10.89.1.0/24', true],
    ['0.0.0.0/0', '10.89.1.0/24', true],
  ])('%s and %s overlap: %s', (a, b, expected) => {
    expect(overlaps(readSubnet(a)!, readSubnet(b)!)).toBe(expected);
  });

  it('gives the lowest free address, and none from a full network', () => {
    const subnet = parseSubnet('10.89.0.0/30');
    const gateway = parseAddress('10.89.0.1');
    expect(formatAddress(freeAddress(subnet, new Set([gateway]))!)).toBe('10.89.0.2');
    expect(freeAddress(subnet, new Set([gateway, gateway + 1]))).toBeUndefined();
    expect(contains(subnet, parseAddress('10.89.0.4'))).toBe(false);
  });
});
