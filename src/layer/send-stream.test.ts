import { describe, expect, it } from 'vitest';
import { sentPaths } from './send-stream.ts';

const [SUBVOL, MKDIR, RENAME, LINK, UTIMES, END] = [1, 4, 9, 10, 20, 21] as const;
const [UUID, PATH, PATH_TO, PATH_LINK] = [1, 15, 16, 17] as const;

function command(number: number, attributes: Record<number, string> = {}): Buffer {
  const body = Object.entries(attributes).map(([type, text]) => {
    const value = Buffer.from(text, 'latin1');
    const head = Buffer.alloc(4);
    head.writeUInt16LE(Number(type), 0);
    head.writeUInt16LE(value.length, 2);
    return Buffer.concat([head, value]);
  });
  const head = Buffer.alloc(10);
  head.writeUInt32LE(
    body.reduce((sum, { length }) => sum + length, 0),
    0,
  );
  head.writeUInt16LE(number, 4);
  return Buffer.concat([head, ...body]);
}

const stream = (...commands: Buffer[]): Buffer =>
  Buffer.concat([Buffer.from('btrfs-stream\0\x01\0\0\0', 'latin1'), ...commands]);

describe('a stream of btrfs send', () => {
  it('names the paths that it speaks of', () => {
    const bytes = stream(
      command(SUBVOL, { [PATH]: 'layer', [UUID]: 'x'.repeat(16) }),
      command(MKDIR, { [PATH]: 'o257-9-0' }),
      command(RENAME, { [PATH]: 'o257-9-0', [PATH_TO]: '/caf\xe9' }),
      command(LINK, { [PATH]: 'usr/b', [PATH_LINK]: 'usr/a' }),
      command(UTIMES, { [PATH]: '' }),
      command(END),
      Buffer.from('what comes after is another'),
    );
    expect(sentPaths(bytes)).toEqual([
      { path: '/o257-9-0', moved: false },
      { path: '/o257-9-0', moved: true },
      { path: '/caf\xe9', moved: true },
      { path: '/usr/b', moved: false },
      { path: '/usr/a', moved: false },
      { path: '', moved: false },
    ]);
  });

  it.each([
    ['nothing', Buffer.alloc(0)],
    ['something else', Buffer.from('no stream at all, but of some length')],
    ['one without its end', stream(command(MKDIR, { [PATH]: 'a' }))],
    ['one that is cut off', stream(command(MKDIR, { [PATH]: 'a' }), command(END)).subarray(0, 30)],
    ['one with half an attribute', stream(Buffer.from('\x02\0\0\0\x04\0\0\0\0\0xx', 'latin1'), command(END))],
  ])('is not understood: %s', (_, bytes) => {
    expect(() => sentPaths(bytes)).toThrow('cannot be understood');
  });
});
