import { expect, it } from 'vitest';
import { parseTopLayerPlace, showTopLayerPlace } from './place.ts';

it.each([
  ['/etc/top', { kind: 'directory', path: '/etc/top' }, '/etc/top'],
  ['./a:b', { kind: 'directory', path: `${process.cwd()}/a:b` }, `${process.cwd()}/a:b`],
  ['LABEL=machine', { kind: 'device', device: 'LABEL=machine', path: undefined }, 'LABEL=machine'],
  ['LABEL=a b:/top', { kind: 'device', device: 'LABEL=a b', path: '/top' }, 'LABEL=a b:/top'],
  ['UUID=1-2:/a:b', { kind: 'device', device: 'UUID=1-2', path: '/a:b' }, 'UUID=1-2:/a:b'],
  ['/dev/sda3:/', { kind: 'device', device: '/dev/sda3', path: '/' }, '/dev/sda3:/'],
  ['PARTLABEL=x', { kind: 'device', device: 'PARTLABEL=x', path: undefined }, 'PARTLABEL=x'],
])('%s is a place for a top layer', (text, place, shown) => {
  const parsed = parseTopLayerPlace(text);
  expect(parsed).toMatchObject(place);
  expect(showTopLayerPlace(parsed)).toBe(shown);
});
