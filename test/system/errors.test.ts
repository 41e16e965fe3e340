import { spawn } from 'node:child_process';
import { existsSync, readdirSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { repository } from '../support/paths.ts';
import { runCliAsNobody, type CliResult } from '../support/run-cli.ts';
import { tar, tarWithoutEnd } from '../support/tar-builder.ts';
import {
  drivers,
  expectUntouched,
  storeFilesystem,
  TestStore,
  type StoreFilesystem,
} from '../support/test-store.ts';

const base = tar({ path: './', type: 'directory' }, { path: 'base', content: 'base' });
const big = (megabytes: number): Buffer =>
  tar({ path: 'big', content: Buffer.alloc(megabytes << 20, 'not zeros ') });

describe.each(drivers)('with the $driver driver', (driver) => {
  let filesystem: StoreFilesystem;
  let store: TestStore;
  beforeAll(async () => {
    filesystem = await storeFilesystem(driver);
    store = filesystem.store();
    await store.load(filesystem.layout({ name: 'good:1', layers: [base] }));
  });
  afterAll(async () => filesystem[Symbol.asyncDispose]());

  /** Runs a command that must fail, change nothing, and say so in words for people. */
  async function fails(verb: string, args: string[], input?: Buffer): Promise<CliResult> {
    const result = await expectUntouched(store, () =>
      store.cli(verb, args, input === undefined ? {} : { input }),
    );
    expect(result.stdout).toBe('');
    expect(result.stderr).toMatch(/^imgboot: /m);
    // No stack trace.
    expect(result.stderr).not.toMatch(/^ +at /m);
    return result;
  }

  function file(name: string, content: Buffer | string): string {
    const at = filesystem.fresh(name);
    writeFileSync(at, content);
    return at;
  }

  const whole = tarWithoutEnd({ path: 'a', content: 'x'.repeat(3000) }, { path: 'b', content: 'y' });

  it.each<[string, Buffer, RegExp]>([
    ['cut off within an entry', whole.subarray(0, 2000), /cut off/],
    ['cut off within a header', whole.subarray(0, 3600 + 100), /cut off/],
    ['cut off between two entries', whole, /no end-of-archive mark: it is cut off/],
    ['of text', Buffer.from('this is no tar\n'.repeat(100)), /not a tar/],
    ['of nothing', Buffer.alloc(0), /no end-of-archive mark/],
    ['compressed and cut off', gzipSync(whole).subarray(0, -20), /damaged or cut off/],
    ['of xz that is none', Buffer.from('fd377a585a0000000000', 'hex'), /xz failed/],
  ])('importing a tar %s fails', async (title, content, words) => {
    const result = await fails('import', [file(`${title.replaceAll(' ', '-')}.tar`, content), 'bad:1']);
    expect(result.exitCode).toBe(1);
    expect(result.stderr).toMatch(words);
  });

  it('importing the same from standard input fails the same way', async () => {
    const result = await fails('import', ['-', 'bad:1'], whole);
    expect([result.exitCode, result.stderr]).toEqual([1, expect.stringContaining('cut off')]);
  });

  it.each(['xz', 'bzip2', 'gzip', 'zstd'])('importing a tar compressed with %s works', async (program) => {
    const plain = file('rootfs.tar', tar({ path: 'x', content: program }));
    const { stdout } = await execa(program, ['--stdout', plain], { encoding: 'buffer' });
    await store.cliOk('import', [file(`rootfs.tar.${program}`, Buffer.from(stdout)), `${program}:1`]);
    expect(await store.read(`${program}:1`, ['x'])).toEqual([program]);
  });

  it.each<[string, string[], RegExp]>([
    [
      'a file that is not there',
      ['-i', '/nonexistent/x.tar'],
      /cannot load \/nonexistent\/x\.tar: there is no such file/,
    ],
    ['a directory that is no layout', ['-i', '/usr'], /no OCI layout: it has no index\.json/],
  ])('loading %s fails', async (_title, args, words) => {
    const result = await fails('load', args);
    expect([result.exitCode, result.stderr]).toEqual([1, expect.stringMatching(words)]);
  });

  it.each<[string, Buffer, RegExp]>([
    ['the tar of a root file system', base, /neither manifest\.json nor index\.json\n.*imgboot import/],
    ['text', Buffer.from('this is no archive\n'.repeat(100)), /neither manifest\.json nor index\.json/],
    ['an archive whose manifest is no JSON', tar({ path: 'manifest.json', content: 'x' }), /is not JSON/],
    ['an archive whose manifest is no list', tar({ path: 'manifest.json', content: '{}' }), /not a list/],
    [
      'an archive whose index is no index',
      tar({ path: 'index.json', content: '{"manifests":[null]}' }),
      /a descriptor that is no object/,
    ],
    [
      'an archive whose layers are missing',
      tar({ path: 'manifest.json', content: '[{"Config":"c.json","RepoTags":["x:1"],"Layers":["l.tar"]}]' }),
      /cannot copy/,
    ],
    ['a compressed archive that is cut off', gzipSync(whole).subarray(0, -20), /cannot be decompressed/],
  ])('loading %s fails', async (_title, content, words) => {
    const result = await fails('load', ['-i', file('archive.tar', content)]);
    expect([result.exitCode, result.stderr]).toEqual([1, expect.stringMatching(words)]);
  });

  it('loading a saved archive that is cut off fails', async () => {
    const saved = filesystem.fresh('saved.tar');
    await store.cliOk('save', ['good:1', '-o', saved]);
    truncateSync(saved, 3000);
    expect((await fails('load', ['-i', saved])).exitCode).toBe(1);
  });

  it.each([
    ['inspect', ['missing:1']],
    ['history', ['missing:1']],
    ['export', ['missing:1']],
    ['rmi', ['missing:1']],
    ['tag', ['missing:1', 'x']],
    ['save', ['missing:1', '-o', '/nonexistent/x']],
    ['push', ['missing:1', 'dir:/nonexistent']],
  ])('%s of an image that is not there names those that are', async (verb, args) => {
    const result = await fails(verb, args);
    expect([result.exitCode, result.stderr]).toEqual([
      1,
      expect.stringMatching(/has no image missing:1\n {2}it has .*good:1/),
    ]);
  });

  it('an image ID that is not there is no image', async () => {
    expect((await fails('inspect', ['0123456789ab'])).stderr).toContain('has no image 0123456789ab');
  });

  describe.each(['a;touch /tmp/owned', '$(reboot)', '`id`', 'a b', 'a\nb', "a'b", 'a|b', '../a', '', 'A'])(
    'the name %j',
    (name) => {
      it.each<[string, () => string[]]>([
        ['import', () => [file('x.tar', base), name]],
        ['tag', () => ['good:1', name]],
        ['load', () => ['--name', name, '-i', filesystem.layout({ layers: [base] })]],
      ])('is wrong usage of %s, and nothing of it runs', async (verb, args) => {
        const result = await fails(verb, args());
        expect([result.exitCode, result.stderr]).toEqual([
          2,
          expect.stringContaining('not an image reference'),
        ]);
        expect(existsSync('/tmp/owned')).toBe(false);
      });
    },
  );

  it('an archive’s own names are no better, and nothing of them runs', async () => {
    for (const name of ['a;touch /tmp/owned', '$(touch /tmp/owned)', '../../etc', '--help']) {
      const result = await fails('load', ['-i', filesystem.layout({ name, layers: [base] })]);
      expect(result.exitCode).toBeGreaterThan(0);
    }
    expect(existsSync('/tmp/owned')).toBe(false);
  });

  it('what only root may do says so before anything is done, with the command to repeat', async () => {
    for (const args of [
      ['import', '-', 'x:1'],
      ['load', '-i', 'x.tar'],
      ['rmi', 'good:1'],
      ['tag', 'good:1', 'x'],
      ['prune'],
      ['fsck'],
      ['images'],
      ['deploy', 'good:1', '--gate'],
      ['upgrade', '--gate'],
      ['switch', 'good:1', '--gate'],
      ['why', '/etc/motd'],
      ['commit', '--booted', 'x:1'],
    ]) {
      const result = await expectUntouched(store, () =>
        runCliAsNobody([args[0]!, '--store', store.path, ...args.slice(1)]),
      );
      expect(result.exitCode).toBe(1);
      // The first line: a home that is somebody else's is no reason for a warning.
      expect(result.stderr).toMatch(/^imgboot: .*(needs root|is root's)/);
      expect(result.stderr).toContain(`sudo imgboot ${args[0]} --store ${store.path}`);
    }
  });

  it('a directory with other things in it is made no store', async () => {
    const home = filesystem.directory('home');
    writeFileSync(path.join(home, 'letter.txt'), 'x');
    const other = new TestStore(home);
    const result = await other.cli('import', [file('x.tar', base), 'x:1']);
    expect([result.exitCode, result.stderr]).toEqual([
      1,
      expect.stringContaining('is no store, and not empty: it has letter.txt'),
    ]);
    expect(readdirSync(home)).toEqual(['letter.txt']);
  });

  it('a store keeps the driver that it was made with', async () => {
    const other = driver.driver === 'btrfs' ? 'overlay' : 'btrfs';
    const result = await fails('import', ['--driver', other, file('x.tar', base), 'x:1']);
    expect(result.stderr).toContain(`has the ${driver.driver} driver, not ${other}`);
  });

  it('where there is no store, reading says how to make one', async () => {
    const result = await new TestStore(filesystem.fresh('none')).cli('images');
    expect([result.exitCode, result.stderr]).toEqual([
      1,
      expect.stringMatching(/there is no store at .*\n.*imgboot bootstrap/),
    ]);
  });

  it('--json tells the error, too', async () => {
    const result = await store.cli('inspect', ['missing:1', '--json']);
    expect(JSON.parse(result.stdout)).toMatchObject({ error: { code: 'IMGBOOT_NO_SUCH_IMAGE' } });
    expect(result.exitCode).toBe(1);
  });

  it('SOURCE_DATE_EPOCH makes the same import the same image, also of a directory on another disk', async () => {
    const source = filesystem.directory('rootfs');
    writeFileSync(path.join(source, 'file'), 'x', { mode: 0o640 });
    writeFileSync(path.join(source, 'sparse'), '');
    truncateSync(path.join(source, 'sparse'), 1 << 20);
    await execa('touch', ['-d', '@1234567890.123456789', source, `${source}/file`, `${source}/sparse`]);
    const copy = filesystem.fresh('rootfs-copy');
    await execa('cp', ['-a', source, copy]);
    const env = { SOURCE_DATE_EPOCH: '1700000000' };
    await store.cliOk('import', [source, 'repro:1', '-m', 'test'], { env });
    await store.cliOk('import', [copy, 'repro:2', '-m', 'test'], { env });
    const digests = (await store.images())
      .filter(({ repository: name }) => name === 'repro')
      .map(({ digest }) => digest);
    expect(digests).toEqual([digests[0], digests[0]]);
    const wrong = await store.cli('import', [source, 'repro:3'], { env: { SOURCE_DATE_EPOCH: 'yesterday' } });
    expect([wrong.exitCode, wrong.stderr]).toEqual([2, expect.stringContaining('SOURCE_DATE_EPOCH')]);
  });

  it('Ctrl-C ends a command with 130, and nothing of it is left', async () => {
    const layout = filesystem.layout({ name: 'slow:1', layers: [base, big(64), big(65)] });
    for (const step of ['copying', 'unpacking']) {
      const result = await expectUntouched(store, () =>
        interrupt(['load', '--store', store.path, '-i', layout], step),
      );
      expect(result).toEqual({ status: 130, stderr: expect.stringContaining('stopped by SIGINT') });
    }
  });

  it('and after all that the store is whole', async () => {
    expect(await store.fsck()).toEqual([]);
  });

  describe('on a disk that is full', () => {
    let small: StoreFilesystem;
    let full: TestStore;
    beforeAll(async () => {
      small = await storeFilesystem(driver, 130 << 20);
      full = small.store();
      await full.load(small.layout({ name: 'good:1', layers: [base] }));
    });
    afterAll(async () => small[Symbol.asyncDispose]());

    it.each<[string, () => [string, ...string[]]]>([
      ['import', () => ['import', file('big.tar', big(100)), 'big:1']],
      ['import of what unpacks larger', () => ['import', file('big.tar.gz', gzipSync(big(200))), 'big:1']],
      ['load', () => ['load', '-i', filesystem.layout({ name: 'big:1', layers: [base, big(100)] })]],
      [
        'load of what unpacks larger',
        () => [
          'load',
          '-i',
          filesystem.layout({ name: 'big:1', layers: [base, { tar: big(200), compression: 'gzip' }] }),
        ],
      ],
    ])('%s fails, says why, and leaves the store as it was', async (_title, command) => {
      const [verb, ...args] = command();
      const result = await expectUntouched(full, () => full.cli(verb, args));
      expect(result.exitCode).toBe(1);
      expect(result.stderr).toMatch(/no space left on device/i);
      expect(await full.fsck()).toEqual([]);
      await full.cliOk('import', [file('x.tar', base), 'after:1']);
      await full.cliOk('rmi', ['after:1']);
    });
  });

  /** Presses Ctrl-C (SIGINT to the whole process group, as a terminal does) at a step of a command. */
  function interrupt(args: string[], step: string): Promise<{ status: number | null; stderr: string }> {
    const child = spawn(path.join(repository, 'bin/imgboot'), args, {
      detached: true,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      if (!stderr.includes(step) && (stderr + text).includes(step))
        setTimeout(() => process.kill(-child.pid!, 'SIGINT'), 20);
      stderr += text;
    });
    return new Promise((resolve) => child.once('close', (status) => resolve({ status, stderr })));
  }
});
