import path from 'node:path';
import { symlink, mkdir } from 'node:fs/promises';
import { afterEach, describe, expect, it } from 'vitest';
import type { Diagnosis } from '../../src/system/diagnosis.ts';
import { runCli } from '../support/run-cli.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';

describe('imgboot doctor', () => {
  let directory: TemporaryDirectory | undefined;
  afterEach(async () => directory?.[Symbol.asyncDispose]());

  /** A PATH with a few programs only. */
  async function pathWith(...programs: string[]): Promise<string> {
    directory = await TemporaryDirectory.create();
    const bin = path.join(directory.path, 'bin');
    await mkdir(bin);
    for (const name of ['readlink', ...programs]) await symlink(`/usr/bin/${name}`, path.join(bin, name));
    return bin;
  }

  it('on a host that has everything for it, a capability is ready and the status is 0', async () => {
    const result = await runCli(['doctor', 'store', 'images']);
    expect(result.stdout).toMatch(/^store +ready/m);
    expect(result.exitCode).toBe(0);
  });

  it('what is missing comes with the one command that installs it, and status 1', async () => {
    const result = await runCli(['doctor', 'images'], {
      env: { PATH: await pathWith('unshare', 'setpriv') },
    });
    expect(result.stdout).toContain('skopeo: needed to copy images');
    expect(result.stdout).toMatch(/^ {2}apt-get install --yes --no-install-recommends skopeo tar xz-utils$/m);
    expect(result.exitCode).toBe(1);
  });

  it('without a capability it is a report, whose status is 0', async () => {
    const result = await runCli(['doctor'], { env: { PATH: await pathWith() } });
    expect(result.stdout).toMatch(/^images +NOT READY +skopeo/m);
    expect(result.exitCode).toBe(0);
  });

  it('--json says the same', async () => {
    const result = await runCli(['doctor', 'images', '--json'], {
      env: { PATH: await pathWith('unshare', 'setpriv', 'tar', 'xz') },
    });
    const diagnosis = JSON.parse(result.stdout) as Diagnosis;
    expect(diagnosis.capabilities).toEqual([{ name: 'images', ready: false, missing: ['skopeo'] }]);
    expect(diagnosis.missingPackages).toEqual(['skopeo']);
    expect(result.exitCode).toBe(1);
  });

  it('a word that is no capability is wrong usage, and the answer names them', async () => {
    const result = await runCli(['doctor', 'everything']);
    expect(result.exitCode).toBe(2);
    expect(result.stderr).toContain('one of: store, images, bootstrap,');
  });
});
