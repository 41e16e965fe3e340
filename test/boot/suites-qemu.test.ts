import { mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { busyboxImage } from '../support/busybox-image.ts';
import { repository } from '../support/paths.ts';
import { runCli } from '../support/run-cli.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';

/** More than --timeout has by default. */
const PATIENCE_MS = 240_000;

describe('imgboot qemu', () => {
  let directory: TemporaryDirectory;
  beforeEach(async () => {
    directory = await TemporaryDirectory.create();
  });
  afterEach(async () => await directory[Symbol.asyncDispose]());

  /** The words that boot the image on a disk in a file. */
  async function boot(...words: string[]): Promise<string[]> {
    const { reference, store } = await busyboxImage();
    return ['qemu', reference, '--store', store.paths.root, ...words];
  }

  it('succeeds with what it expects, says which accelerator runs, and keeps nothing', async () => {
    const { store } = await busyboxImage();
    const words = await boot('--fs', 'ext4', '--expect', 'busybox: init has overlay');
    const result = await runCli(words, { timeoutMs: PATIENCE_MS });
    expect(result.stderr).toContain('busybox: init has overlay');
    expect(result.stderr).toMatch(/booting with (tcg|kvm): ./);
    expect(result.exitCode).toBe(0);
    // Others may work on the same store; only this command makes disks there.
    const left = await readdir(store.paths.tmp, { recursive: true });
    expect(left.filter((name) => path.basename(name).startsWith('disk'))).toEqual([]);
  });

  it("fails, with the console's last lines, where the guest ends without what it expects", async () => {
    const words = await boot('--expect', 'never printed', '--append', 'test.poweroff');
    const result = await runCli(words, { timeoutMs: PATIENCE_MS });
    expect(result.exitCode).toBe(1);
    expect(result.stderr).toMatch(
      /the machine ended .* before its console printed "never printed"\n(.*\n)*.*report: /,
    );
  });

  it('fails where what it expects does not come in time', async () => {
    const words = await boot('--expect', 'never printed', '--timeout', '2');
    const result = await runCli(words, { timeoutMs: PATIENCE_MS });
    expect(result.exitCode).toBe(1);
    expect(result.stderr).toContain('"never printed" within 2 s');
  });

  it('boots a kept disk again as it was left, without the image and without its store', async () => {
    const topLayer = path.join(directory.path, 'top');
    await mkdir(path.join(topLayer, 'etc'), { recursive: true });
    await writeFile(path.join(topLayer, 'etc/name'), 'machine\n');
    const disk = path.join(directory.path, 'disk.img');
    const kept = ['--keep', disk, '--append', 'test.poweroff'];
    const words = await boot(
      ...kept,
      '--top-layer',
      topLayer,
      '--writable',
      'persistent',
      '--expect',
      'report: ',
    );
    const first = await runCli(words, { timeoutMs: PATIENCE_MS });
    expect(first.stderr).toContain('name: machine');
    expect(first.stderr).not.toContain('mark: one');
    expect(first.exitCode).toBe(0);
    const again = await runCli(['qemu', ...kept, '--expect', 'report: '], {
      timeoutMs: PATIENCE_MS,
      env: { IMGBOOT_STORE: '/nonexistent' },
    });
    expect(again.stderr).toContain('name: machine');
    expect(again.stderr).toContain('mark: one');
    expect(again.exitCode).toBe(0);
    // The last boot left its report, and nobody's writing is needed to read it.
    const before = (await stat(disk)).mtimeMs;
    const phases = await runCli(['boots', 'show', '--disk', disk, '--json']);
    const names = (JSON.parse(phases.stdout) as { name: string }[]).map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(['kernel', 'modules', 'writable layer']));
    expect((await stat(disk)).mtimeMs).toBe(before);
  });

  it("is the guest's console at a terminal, and ends with the guest", async () => {
    const words = await boot();
    // script(1) is the terminal; what comes on its standard input is typed there.
    const command = [path.join(repository, 'bin/imgboot'), ...words].join(' ');
    const terminal = execa('script', ['--quiet', '--return', '--command', command, '/dev/null'], {
      reject: false,
      timeout: PATIENCE_MS,
      stderr: 'inherit',
    });
    let shown = '';
    let typed = false;
    terminal.stdout.on('data', (bytes: Buffer) => {
      shown += String(bytes);
      if (typed || !shown.includes("Enter 'help' for a list of built-in commands")) return;
      typed = true;
      terminal.stdin.write('echo $((6 * 7)) answers\r');
      terminal.stdin.write('poweroff -f\r');
    });
    const { exitCode } = await terminal;
    expect(shown).toContain('Ctrl-A x ends the machine');
    expect(shown).toContain('42 answers');
    expect(exitCode).toBe(0);
  });
});
