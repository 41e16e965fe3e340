import { type BigIntStats, lstatSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ContentDigests } from './content-digests.ts';

describe('ContentDigests', () => {
  let directory: string;
  let cache: string;
  let file: string;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'imgboot-digests-'));
    cache = join(directory, 'cache', 'digests');
    file = join(directory, 'file');
    writeFileSync(file, 'one');
  });

  afterEach(() => rmSync(directory, { recursive: true }));

  const stats = (): BigIntStats => lstatSync(file, { bigint: true });

  function remember(digest: string): void {
    const digests = new ContentDigests(cache);
    digests.add(stats(), digest);
    digests.save();
  }

  it('knows an unchanged file again', async () => {
    await sleep(1100);
    remember('aa');
    expect(new ContentDigests(cache).find(stats())).toBe('aa');
  });

  it('does not trust a file whose time was set back after it changed', async () => {
    await sleep(1100);
    const { mtimeMs } = lstatSync(file);
    remember('aa');
    writeFileSync(file, 'two');
    utimesSync(file, mtimeMs / 1000, mtimeMs / 1000);
    expect(new ContentDigests(cache).find(stats())).toBeUndefined();
  });

  it('forgets a file that was changed just now', () => {
    remember('aa');
    expect(new ContentDigests(cache).find(stats())).toBeUndefined();
  });

  it('takes a damaged file for an empty one', () => {
    writeFileSync(join(directory, 'damaged'), '[["a"');
    expect(new ContentDigests(join(directory, 'damaged')).find(stats())).toBeUndefined();
  });
});
