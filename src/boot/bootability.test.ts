import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RootedTree } from '../system/rooted.ts';
import { checkBootability } from './bootability.ts';

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'imgboot-bootability-'));
});
afterEach(() => {
  rmSync(root, { recursive: true });
});

function put(path: string, content = '', mode = 0o644): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), content);
  chmodSync(join(root, path), mode);
}

function bootable(): void {
  put('boot/vmlinuz-6.1.0-1-amd64');
  put('lib/modules/6.1.0-1-amd64/modules.dep');
  put('usr/lib/systemd/systemd', '', 0o755);
  put('usr/lib/systemd/systemd-udevd', '', 0o755);
  mkdirSync(join(root, 'sbin'));
  symlinkSync('/usr/lib/systemd/systemd', join(root, 'sbin/init'));
}

function findings(): string[] {
  return checkBootability(new RootedTree(root)).map(
    ({ level, part, message }) => `${level} ${part}: ${message}`,
  );
}

describe('whether an image boots', () => {
  it('has nothing to say of one with kernel, modules, systemd and udev', () => {
    bootable();
    expect(findings()).toEqual([]);
  });

  it('misses kernel and init in a plain base image', () => {
    expect(findings()).toEqual(['error kernel: there is no kernel', 'error init: there is no /sbin/init']);
  });

  it('misses the modules of a kernel image', () => {
    bootable();
    rmSync(join(root, 'lib/modules'), { recursive: true });
    expect(findings()).toEqual([
      'error modules: /boot/vmlinuz-6.1.0-1-amd64 is there, and no modules for it',
    ]);
  });

  it('misses the image of a kernel whose modules are there', () => {
    bootable();
    rmSync(join(root, 'boot'), { recursive: true });
    expect(findings()).toEqual([
      'error kernel: there are modules of kernel 6.1.0-1-amd64, and no image of it',
    ]);
  });

  it('names an init that nobody may execute', () => {
    bootable();
    chmodSync(join(root, 'usr/lib/systemd/systemd'), 0o644);
    expect(findings()).toEqual(['error init: /usr/lib/systemd/systemd is no program: nobody may execute it']);
  });

  it('follows no symlink out of the image', () => {
    bootable();
    rmSync(join(root, 'sbin/init'));
    symlinkSync('../../../../../../bin/sh', join(root, 'sbin/init'));
    expect(findings()).toEqual(['error init: there is no /sbin/init']);
  });

  it.each([
    [
      'UUID=1234 /home ext4 defaults 0 2',
      ['error fstab: /etc/fstab:1: /home waits for UUID=1234, which a machine may not have'],
    ],
    ['UUID=1234 /home ext4 defaults,nofail 0 2', []],
    ['UUID=1234 /home ext4 noauto 0 2', []],
    ['# UUID=1234 /home ext4 defaults 0 2', []],
    ['tmpfs /tmp tmpfs defaults 0 0', []],
    ['UUID=1234 none swap sw 0 0', []],
    ['# UNCONFIGURED FSTAB FOR BASE SYSTEM', []],
  ])('reads the fstab line %j', (line, expected) => {
    bootable();
    put('etc/fstab', `${line}\n`);
    expect(findings()).toEqual(expected);
  });
});
