import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { writeTree, type FileTree } from '../../test/support/file-tree.ts';
import { RootedTree } from '../system/rooted.ts';
import { loadSequence, ModuleIndex } from './module-index.ts';

const directory = mkdtempSync(path.join(tmpdir(), 'imgboot-test-'));
afterAll(() => rmSync(directory, { recursive: true }));
let count = 0;

function indexOf(tables: FileTree): ModuleIndex {
  const root = path.join(directory, String(count++));
  const files = Object.entries(tables).map(([name, text]) => [`lib/modules/6.1/${name}`, text]);
  writeTree(root, Object.fromEntries(files) as FileTree);
  return new ModuleIndex(new RootedTree(root), '6.1');
}

function sequenceOf(index: ModuleIndex, name: string): string[] {
  return loadSequence(index, index.find(name)!).map((module) => module.name);
}

describe('ModuleIndex', () => {
  const index = indexOf({
    'modules.dep': [
      'kernel/fs/btrfs/btrfs.ko: kernel/crypto/xor.ko kernel/lib/libcrc32c.ko',
      'kernel/crypto/xor.ko:',
      'kernel/lib/libcrc32c.ko: kernel/crypto/hash.ko',
      'kernel/crypto/hash.ko.xz:',
      'kernel/crypto/crc32c_generic.ko:',
      'kernel/arch/x86/crypto/crc32c-intel.ko:',
      'kernel/drivers/vfio/vfio.ko:',
      'kernel/drivers/vfio/vfio_iommu.ko: kernel/drivers/vfio/vfio.ko',
      '../../../../etc/shadow.ko:',
      '/etc/passwd.ko:',
      'kernel/../../x.ko:',
    ].join('\n'),
    'modules.softdep': [
      '# Soft dependencies extracted from modules themselves.',
      'softdep btrfs pre: crypto-crc32c',
      'softdep btrfs pre: no-such-thing',
      'softdep libcrc32c pre: crc32c',
      'softdep vfio post: vfio_iommu',
      'softdep xor gcm ccm',
    ].join('\n'),
    'modules.alias': [
      'alias crypto-crc32c crc32c_generic',
      'alias crypto-crc32c crc32c_intel',
      'alias crc-16 hash',
      'alias pci:v00001AF4d*sv*sd*bc*sc*i* virtio_pci',
    ].join('\n'),
    'modules.builtin': 'kernel/fs/ext4/ext4.ko\nkernel/lib/crc-16.ko\n',
    'modules.builtin.modinfo': 'ext4.license=GPL\0crc_16.firmware=a/b.bin\0scsi.firmware=c.bin\0',
  });

  it('loads what a module should and must have before it', () => {
    expect(sequenceOf(index, 'btrfs')).toEqual([
      'crc32c_generic',
      'crc32c_intel',
      'hash',
      'libcrc32c',
      'xor',
      'btrfs',
    ]);
  });

  it('ends where modules name each other', () => {
    expect(sequenceOf(index, 'vfio')).toEqual(['vfio', 'vfio_iommu']);
    expect(sequenceOf(index, 'vfio_iommu')).toEqual(['vfio', 'vfio_iommu']);
  });

  it('finds a module by either spelling, and by its alias', () => {
    expect(index.find('crc32c-intel')?.path).toBe('kernel/arch/x86/crypto/crc32c-intel.ko');
    expect(index.lookUp('crypto-crc32c').map(({ name }) => name)).toEqual(['crc32c_generic', 'crc32c_intel']);
    expect(index.lookUp('nothing')).toEqual([]);
    // The library crc-16 is built in, the hash of that name is a module.
    expect(index.lookUp('crc-16').map(({ name }) => name)).toEqual(['hash']);
  });

  it('knows what is built in', () => {
    expect(index.isBuiltin('ext4')).toBe(true);
    expect(index.isBuiltin('crc_16')).toBe(true);
    expect(index.isBuiltin('btrfs')).toBe(false);
    expect(index.builtinFirmware(new Set(['crc_16']))).toEqual([['a/b.bin', 'crc_16']]);
  });

  it('passes over paths that lead out of the directory', () => {
    expect([...index.modules].map(({ name }) => name)).not.toContain('shadow');
    expect([...index.modules].map(({ name }) => name)).not.toContain('passwd');
    expect([...index.modules].map(({ name }) => name)).not.toContain('x');
  });

  it('refuses a modules.dep without a module', () => {
    expect(() => indexOf({ 'modules.dep': 'garbage\n' })).toThrow(
      expect.objectContaining({ code: 'IMGBOOT_BAD_MODULES_DEP' }),
    );
  });
});
