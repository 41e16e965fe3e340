import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { unxz } from './unxz.ts';

const data = Buffer.concat([Buffer.alloc(300_000, 'text '), randomBytes(10_000)]);

function xz(bytes: Buffer, ...flags: string[]): Buffer {
  return execFileSync('xz', ['--compress', '--stdout', ...flags], { input: bytes });
}

describe('unxz', () => {
  it.each([
    ['a file', xz(data)],
    ['one as the kernel makes its modules', xz(data, '--check=crc32', '--lzma2=dict=1MiB')],
    ['one of several blocks', xz(data, '--block-size=65536')],
    ['one of x86 code', xz(data, '--x86', '--lzma2')],
    ['nothing', xz(Buffer.alloc(0))],
    ['padding behind it', Buffer.concat([xz(data), Buffer.alloc(8)])],
  ])('unpacks %s', async (title, packed) => {
    expect((await unxz(packed)).equals(title === 'nothing' ? Buffer.alloc(0) : data)).toBe(true);
  });

  it('unpacks two streams in a row as one file', async () => {
    expect((await unxz(Buffer.concat([xz(data), xz(data)]))).equals(Buffer.concat([data, data]))).toBe(true);
  });

  it('unpacks many at once', async () => {
    const inputs = Array.from({ length: 200 }, (_, index) => Buffer.alloc(index * 100, `${index}`));
    const outputs = await Promise.all(inputs.map(async (input) => await unxz(xz(input))));
    expect(outputs.every((output, index) => output.equals(inputs[index]!))).toBe(true);
  });

  it.each([
    ['is cut off', xz(data).subarray(0, 1000)],
    ['is damaged inside', Buffer.from(xz(data)).fill(0xff, 2000, 2010)],
    [
      'has a wrong checksum',
      ((): Buffer => {
        const bytes = xz(data, '--check=crc32');
        // The check of the one block is the last before the index.
        const index = bytes.length - 12 - (bytes.readUInt32LE(bytes.length - 8) + 1) * 4;
        bytes[index - 1]! ^= 1;
        return bytes;
      })(),
    ],
    ['is something else', Buffer.from('hello, world')],
  ])('refuses what %s', async (_, bytes) => {
    await expect(unxz(bytes)).rejects.toMatchObject({ code: 'IMGBOOT_BAD_XZ' });
  });
});
