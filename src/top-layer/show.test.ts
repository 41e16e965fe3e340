import { expect, it } from 'vitest';
import { parseShownName, showName } from './show.ts';

it.each([
  ['/etc/motd', '/etc/motd'],
  ['a b', 'a b'],
  ['line\nend', 'line\\x0aend'],
  ['\x1b[31m', '\\x1b[31m'],
  ['back\\slash', 'back\\\\slash'],
  [Buffer.from('größe').toString('latin1'), 'größe'],
  ['high\xff', 'high\\xff'],
  [Buffer.from('a\u202eb').toString('latin1'), 'a\\xe2\\x80\\xaeb'],
])('%j is shown as %s, and read back', (name, shown) => {
  expect(showName(name)).toBe(shown);
  expect(parseShownName(shown)).toBe(name);
});

it.each([
  ['C:\\new', 'C:\\new'],
  ['größe', Buffer.from('größe').toString('latin1')],
])('what somebody types, %s, is read as it is', (typed, name) => {
  expect(parseShownName(typed)).toBe(name);
});
