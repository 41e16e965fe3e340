import { execFileSync } from 'node:child_process';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { kernelModule, withSignature } from '../../test/support/kernel-module.ts';
import { ElfFile } from './elf.ts';
import { decompressModule, firmwareOf, stripModule } from './module-file.ts';

const modinfo = ['license=GPL', 'firmware=a/one.bin', 'firmware=two-*.bin', 'alias=pci:*'];

describe('firmwareOf', () => {
  it('reads the names from .modinfo', () => {
    expect(firmwareOf(kernelModule(modinfo), 'x.ko')).toEqual(['a/one.bin', 'two-*.bin']);
    expect(firmwareOf(kernelModule(['license=GPL']), 'x.ko')).toEqual([]);
  });

  it('names the file that is no module, or is cut off', () => {
    const module = kernelModule(modinfo);
    for (const bytes of [
      Buffer.from('junk'),
      module.subarray(0, 70),
      module.subarray(0, module.length - 60),
    ]) {
      expect(() => firmwareOf(bytes, 'kernel/x.ko')).toThrow(
        expect.objectContaining({ code: 'IMGBOOT_BAD_ELF', message: expect.stringContaining('kernel/x.ko') }),
      );
    }
  });
});

describe('stripModule', () => {
  it('takes the signature off, and leaves the module', () => {
    const module = kernelModule(modinfo);
    expect(stripModule(withSignature(module), 'x.ko').equals(module)).toBe(true);
    expect(stripModule(module, 'x.ko').equals(module)).toBe(true);
  });

  it('empties debug sections, and keeps every other byte for byte', () => {
    const text = Buffer.from('the code');
    const module = kernelModule(modinfo, [
      { name: '.debug_info', content: Buffer.alloc(5000, 1) },
      { name: '.text', content: text },
      { name: '.BTF', content: Buffer.alloc(3000, 2) },
      { name: '.rela.text', content: Buffer.from('relocations') },
    ]);
    const stripped = stripModule(withSignature(module), 'x.ko');
    expect(stripped.length).toBeLessThan(module.length - 7900);
    const elf = new ElfFile(stripped, 'x.ko');
    const sizes = Object.fromEntries(elf.sections().map(({ name, size }) => [name, size]));
    expect(sizes).toMatchObject({ '.debug_info': 0, '.BTF': 0, '.text': 8, '.rela.text': 11 });
    expect(elf.sectionBytes(elf.section('.text')!).equals(text)).toBe(true);
    expect(firmwareOf(stripped, 'x.ko')).toEqual(['a/one.bin', 'two-*.bin']);
  });

  it('keeps the types of a module that registers functions for BPF', () => {
    const module = kernelModule(modinfo, [
      { name: '.BTF', content: Buffer.alloc(3000, 2) },
      { name: '.BTF_ids', content: Buffer.alloc(8) },
    ]);
    expect(stripModule(module, 'x.ko').equals(module)).toBe(true);
  });

  it('leaves what claims a signature longer than itself', () => {
    const module = withSignature(kernelModule(modinfo));
    module.writeUInt32BE(0x7fff_ffff, module.length - 32);
    expect(stripModule(module, 'x.ko').length).toBe(module.length);
  });
});

describe('decompressModule', () => {
  const module = kernelModule(modinfo);
  const xz = (bytes: Buffer, ...options: string[]): Buffer =>
    execFileSync('xz', ['-c', '--check=crc32', ...options], { input: bytes });

  it('unpacks what modules are packed with', async () => {
    expect((await decompressModule('x.ko', module)).equals(module)).toBe(true);
    expect((await decompressModule('x.ko.gz', gzipSync(module))).equals(module)).toBe(true);
    expect((await decompressModule('x.ko.zst', zstdCompressSync(module))).equals(module)).toBe(true);
    expect((await decompressModule('x.ko.xz', xz(module))).equals(module)).toBe(true);
  });

  it('gives each of many .xz files its own content', async () => {
    const contents = Array.from({ length: 50 }, (_, n) => Buffer.alloc(n * 1000, String(n)));
    // Files of several blocks, of several streams, and with padding are among what xz writes.
    const files = contents.map((content, n) => {
      if (n === 7) return Buffer.concat([xz(content.subarray(0, 500)), xz(content.subarray(500))]);
      return xz(content, ...(n % 3 === 0 ? ['--block-size=4096'] : []));
    });
    const plain = await Promise.all(files.map((file, n) => decompressModule(`${n}.ko.xz`, file)));
    expect(plain.map((bytes, n) => bytes.equals(contents[n]!))).toEqual(contents.map(() => true));
  });

  it.each(['x.ko.gz', 'x.ko.zst', 'x.ko.xz'])('refuses %s that is damaged', async (name) => {
    await expect(decompressModule(name, Buffer.from('no such thing'))).rejects.toThrow(
      expect.objectContaining({ code: expect.stringMatching(/^IMGBOOT_BAD_(MODULE|XZ)$/) }),
    );
  });
});
