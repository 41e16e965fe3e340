import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { writeTree } from '../../test/support/file-tree.ts';
import { RootedTree } from '../system/rooted.ts';
import { parseCompression, requireKernelReads } from './compression.ts';
import { KernelConfig } from './kernel.ts';

describe('parseCompression', () => {
  it.each([
    ['zstd', { format: 'zstd' }],
    ['zstd:19', { format: 'zstd', level: 19 }],
    ['gzip:9', { format: 'gzip', level: 9 }],
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

describe('requireKernelReads', () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'imgboot-test-'));
  afterAll(() => rmSync(directory, { recursive: true }));

  it('believes the configuration that comes with the kernel', () => {
    writeTree(directory, {
      'boot/config-6.1': '# CONFIG_RD_GZIP is not set\nCONFIG_RD_ZSTD=y\nCONFIG_RD_XZ=m',
    });
    const config = KernelConfig.read(new RootedTree(directory), '6.1');
    expect(() => requireKernelReads({ format: 'zstd' }, config)).not.toThrow();
    expect(() => requireKernelReads({ format: 'none' }, config)).not.toThrow();
    expect(() => requireKernelReads({ format: 'gzip' }, config)).toThrow(
      'this kernel cannot unpack gzip (CONFIG_RD_GZIP is not set in /boot/config-6.1)',
    );
  });

  it('tries what it is told where there is no configuration', () => {
    expect(() => requireKernelReads({ format: 'gzip' }, undefined)).not.toThrow();
  });
});
