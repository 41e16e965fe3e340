import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';
import { writeTree, type FileTree } from '../../test/support/file-tree.ts';
import { RootedTree } from '../system/rooted.ts';
import { chooseCompression, parseCompression } from './compression.ts';
import { embeddedConfig, KernelConfig } from './kernel-config.ts';

describe('parseCompression', () => {
  it.each([
    ['zstd', { format: 'zstd' }],
    ['zstd:19', { format: 'zstd', level: 19 }],
    ['gzip:9', { format: 'gzip', level: 9 }],
    ['xz', { format: 'xz' }],
    ['xz:0', { format: 'xz', level: 0 }],
    ['lz4:12', { format: 'lz4', level: 12 }],
    ['none', { format: 'none' }],
  ])('reads %s', (text, expected) => {
    expect(parseCompression(text)).toEqual(expected);
  });

  it.each([
    '',
    'rar',
    'ZSTD',
    'zstd:',
    'zstd:0',
    'zstd:20',
    'zstd:-1',
    'zstd:3:3',
    'gzip:10',
    'none:1',
    'zstd:1e1',
  ])('refuses %j as wrong usage', (text) => {
    expect(() => parseCompression(text)).toThrow(expect.objectContaining({ code: 'IMGBOOT_USAGE' }));
  });
});

describe('chooseCompression', () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'imgboot-test-'));
  afterAll(() => rmSync(directory, { recursive: true }));

  async function configOf(files: FileTree): Promise<KernelConfig | undefined> {
    const root = mkdtempSync(path.join(directory, 'root-'));
    writeTree(root, files);
    const image = 'boot/vmlinuz-6.1' in files ? '/boot/vmlinuz-6.1' : undefined;
    return await KernelConfig.read(new RootedTree(root), { version: '6.1', image });
  }

  const someOptions = '# CONFIG_RD_GZIP is not set\nCONFIG_RD_LZ4=y\nCONFIG_RD_XZ=m\n';

  it('believes the configuration that comes with the kernel, and names what it can read', async () => {
    const config = await configOf({ 'boot/config-6.1': someOptions });
    expect(chooseCompression({ format: 'lz4', level: 1 }, config)).toEqual({ format: 'lz4', level: 1 });
    expect(chooseCompression({ format: 'none' }, config)).toEqual({ format: 'none' });
    for (const format of ['gzip', 'xz', 'zstd'] as const) {
      expect(() => chooseCompression({ format }, config)).toThrow(
        expect.objectContaining({
          code: 'IMGBOOT_COMPRESSION_UNSUPPORTED',
          message: `this kernel cannot unpack ${format} (CONFIG_RD_${format.toUpperCase()} is not set in /boot/config-6.1)`,
          hint: 'use --compress lz4 or --compress none',
        }),
      );
    }
  });

  it('takes the best that the kernel reads where nothing is asked for', async () => {
    expect(chooseCompression(undefined, undefined)).toEqual({ format: 'zstd' });
    expect(chooseCompression(undefined, await configOf({ 'boot/config-6.1': someOptions }))).toEqual({
      format: 'lz4',
    });
    expect(chooseCompression(undefined, await configOf({ 'boot/config-6.1': '' }))).toEqual({
      format: 'none',
    });
  });

  it('tries what it is told where there is no configuration', () => {
    expect(chooseCompression({ format: 'xz' }, undefined)).toEqual({ format: 'xz' });
  });

  const embedded = Buffer.concat([
    Buffer.alloc(100_000, 'code '),
    Buffer.from('IKCFG_ST'),
    gzipSync(Buffer.from(`CONFIG_X=y\n${someOptions}`)),
    Buffer.from('IKCFG_ED'),
    Buffer.alloc(300_000, 'more code '),
  ]);

  it.each([
    ['an uncompressed kernel', embedded],
    ['a gzip kernel', gzipSync(embedded)],
    ['an x86 kernel packed with zstd', bzImage(zstdCompressSync(embedded))],
    [
      'an x86 kernel packed with xz',
      bzImage(execFileSync('xz', ['-c', '--check=crc32'], { input: embedded })),
    ],
    ['an x86 kernel packed with gzip', bzImage(gzipSync(embedded))],
  ])('finds the configuration that is in %s', async (_, image) => {
    const config = await configOf({ 'boot/vmlinuz-6.1': image });
    expect(config?.path).toBe('/boot/vmlinuz-6.1');
    expect(config?.has('CONFIG_RD_LZ4')).toBe(true);
    expect(config?.has('CONFIG_RD_ZSTD')).toBe(false);
  });

  it.each([
    ['nothing', Buffer.alloc(0)],
    ['text', Buffer.from('no kernel')],
    ['a kernel without it', bzImage(zstdCompressSync(Buffer.alloc(100_000)))],
    ['a kernel that is cut off', bzImage(zstdCompressSync(embedded).subarray(0, 60))],
    ['a start without an end', Buffer.from('IKCFG_ST and so on')],
  ])('finds none in %s', async (_, image) => {
    expect(await embeddedConfig(image)).toBeUndefined();
  });
});

/** As arch/x86/boot lays it out: the setup code's sectors, then the payload and its size. */
function bzImage(payload: Buffer): Buffer {
  const setupSectors = 3;
  const payloadOffset = 0x100;
  const image = Buffer.alloc((setupSectors + 1) * 512 + payloadOffset);
  image[0x1f1] = setupSectors;
  image.write('HdrS', 0x202, 'latin1');
  image.writeUInt32LE(payloadOffset, 0x248);
  image.writeUInt32LE(payload.length, 0x24c);
  return Buffer.concat([image, payload, Buffer.from([1, 2, 3, 4])]);
}
