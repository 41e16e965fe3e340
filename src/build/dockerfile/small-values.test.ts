import { expect, test } from 'vitest';
import { parseDuration } from './duration.ts';
import { formatPlatform, parsePlatform } from './platform.ts';
import { exposedPorts } from './ports.ts';
import { checkSignal } from './signal.ts';

test.each([
  ['80', ['80/tcp']],
  ['80/', ['80/tcp']],
  ['53/UDP', ['53/udp']],
  ['8000-8002', ['8000/tcp', '8001/tcp', '8002/tcp']],
  ['127.0.0.1:8080:80', ['80/tcp']],
  ['[::1]:8080:80/sctp', ['80/sctp']],
])('port %s is %j', (word, ports) => {
  expect(exposedPorts([word])).toEqual(ports);
});

test.each(['', 'http', '80/icmp', '70000', '9-8', '-1', '80-'])('%j is not a port', (word) => {
  expect(() => exposedPorts([word])).toThrow(`not a port: ${JSON.stringify(word)}`);
});

test.each([
  ['linux/amd64', 'linux/amd64'],
  ['linux/x86_64', 'linux/amd64'],
  ['linux/amd64/v1', 'linux/amd64'],
  ['linux/amd64/v3', 'linux/amd64/v3'],
  ['Linux/aarch64', 'linux/arm64'],
  ['linux/arm64/v8', 'linux/arm64'],
  ['linux/arm', 'linux/arm/v7'],
  ['linux/arm/6', 'linux/arm/v6'],
  ['linux/armhf', 'linux/arm/v7'],
  ['riscv64', 'linux/riscv64'],
])('platform %s is %s', (text, platform) => {
  expect(formatPlatform(parsePlatform(text))).toBe(platform);
});

test.each(['', 'linux/', '/amd64', 'a/b/c/d', 'foo', 'linux/$x'])('%j is not a platform', (text) => {
  expect(() => parsePlatform(text)).toThrow(`not a platform: ${JSON.stringify(text)}`);
});

test.each(['9', 'KILL', 'SIGTERM', 'sigterm', 'SIGRTMIN+3', 'RTMAX-1'])('%s is a signal', (signal) => {
  expect(checkSignal(signal)).toBe(signal);
});

test.each(['', '0', '65', 'SIGFOO', 'SIGRTMIN+99', 'constructor'])('%j is not a signal', (signal) => {
  expect(() => checkSignal(signal)).toThrow(`unknown signal ${JSON.stringify(signal)}`);
});

test.each([
  ['1h30m', 5_400_000_000_000],
  ['.5s', 500_000_000],
  ['0', 0],
  ['0s', 0],
])('%s is %d nanoseconds', (text, nanoseconds) => {
  expect(parseDuration(text)).toBe(nanoseconds);
});

test.each(['', '1', 's', '-1s', '1s x', '9999999h'])('%j is not a duration', (text) => {
  expect(() => parseDuration(text)).toThrow(`not a duration: ${JSON.stringify(text)}`);
});
