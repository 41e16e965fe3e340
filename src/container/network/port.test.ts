import { describe, expect, it } from 'vitest';
import { describePort, parsePort } from './port.ts';

describe('parsePort', () => {
  it.each([
    ['80', [[undefined, undefined, 80, 'tcp']]],
    ['8080:80', [[undefined, 8080, 80, 'tcp']]],
    ['0.0.0.0:8080:80', [[undefined, 8080, 80, 'tcp']]],
    ['127.0.0.1:8080:80/udp', [['127.0.0.1', 8080, 80, 'udp']]],
    ['127.0.0.1::80', [['127.0.0.1', undefined, 80, 'tcp']]],
    [
      '8000-8001:80-81',
      [
        [undefined, 8000, 80, 'tcp'],
        [undefined, 8001, 81, 'tcp'],
      ],
    ],
    [
      '80-81',
      [
        [undefined, undefined, 80, 'tcp'],
        [undefined, undefined, 81, 'tcp'],
      ],
    ],
    ['65535:65535', [[undefined, 65_535, 65_535, 'tcp']]],
  ])('reads %s', (text, expected) => {
    const ports = parsePort(text).map((port) => [
      port.hostAddress,
      port.hostPort,
      port.containerPort,
      port.protocol,
    ]);
    expect(ports).toEqual(expected);
  });

  it.each([
    '',
    'a',
    '0',
    '65536',
    '80/sctp',
    '80:',
    ':',
    '1:2:3:4',
    '80-79',
    '8000-8002:80-81',
    '80-',
    '-80',
    '1-2-3',
    'host:80:80',
    '[::1]:80:80',
    '80:80 ',
    '+80',
  ])('refuses %j', (text) => {
    expect(() => parsePort(text)).toThrow(expect.objectContaining({ code: 'IMGBOOT_USAGE' }));
  });
});

describe('describePort', () => {
  it('writes a port as docker does', () => {
    expect(parsePort('127.0.0.1:8080:80').map(describePort)).toEqual(['127.0.0.1:8080->80/tcp']);
    expect(parsePort('53:53/udp').map(describePort)).toEqual(['0.0.0.0:53->53/udp']);
  });
});
