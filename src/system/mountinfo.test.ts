import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it } from 'vitest';
import { findMount, listMounts } from './mountinfo.ts';

it('mounts are read as the kernel writes them, and the nearest is found', () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'imgboot-mountinfo-'));
  try {
    const file = path.join(directory, 'mountinfo');
    const lines = [
      '20 1 0:18 / / rw,relatime shared:1 - btrfs /dev/sda2 rw,subvolid=5',
      `21 20 0:19 /@data ${directory.replaceAll('-', '\\055')} ro,nosuid shared:2 master:3 - btrfs /dev/sd\\040b rw`,
      '22 20 0:20 / /tm rw - tmpfs tmpfs rw',
    ];
    writeFileSync(file, `${lines.join('\n')}\n`);
    const mounts = listMounts(file);
    expect(mounts[1]).toEqual({
      target: directory,
      root: '/@data',
      options: ['ro', 'nosuid'],
      fstype: 'btrfs',
      source: '/dev/sd b',
      superOptions: ['rw'],
    });
    expect(findMount(file, mounts)).toBe(mounts[1]);
    expect(findMount('/', mounts)).toBe(mounts[0]);
    expect(findMount(tmpdir(), mounts)).toBe(mounts[0]);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
