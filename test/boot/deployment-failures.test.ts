import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bootDeployment, deploymentDisk, startDeployment, versionFiles } from '../support/deployment-disk.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';

/** Each step of a boot has a limit of its own; this one is for when all are near it. */
const manyBoots = { timeout: 600_000 };

let work: TemporaryDirectory;
beforeEach(async () => {
  work = await TemporaryDirectory.create();
});
afterEach(async () => work[Symbol.asyncDispose]());

describe('a version that fails is given up after its tries, for the one that was good:', () => {
  it.for([
    { failure: 'its init crashes', filesystem: 'btrfs', tries: 3, words: 'panic=1 test=crash', breaks: ':' },
    { failure: 'the kernel panics', filesystem: 'ext4', tries: 3, words: 'panic=1 test=panic', breaks: ':' },
    // The command line does not say what a failure does.
    {
      failure: 'its root cannot be made',
      filesystem: 'ext4',
      tries: 2,
      words: '',
      breaks: 'mv ../layers/2222222222222222 ../layers/gone',
    },
    {
      failure: 'its boot file is damaged',
      filesystem: 'btrfs',
      tries: 2,
      words: '',
      breaks: "printf 'version=1\\ntry=2\\nprev' > tiny/2/boot",
    },
  ] as const)('$failure', manyBoots, async ({ filesystem, tries, words, breaks }, context) => {
    const disk = await deploymentDisk(work.path, filesystem, {
      lines: { 1: ['persist=/srv'], 2: [`try=${tries}`, 'previous=tiny/1'] },
      prepare: `touch tiny/1/good; mkdir -p tiny/persist/%2Fsrv; printf s > tiny/persist/%2Fsrv/mark; ${breaks}`,
    });
    const boot = { name: 'failing', words: `${words} imgboot.deployment=tiny/2`, fails: true };
    const { facts, report, console } = await bootDeployment(context, disk, boot);
    const whole = words !== '';
    const modules = `usr/lib/modules/${disk.kver}/name two`;
    expect(facts).toEqual(['version 1', 'home/mark image', 'srv/mark s', ...(whole ? [modules] : [])]);
    expect(report).toMatchObject({
      reference: 'tiny:1',
      deployment: { asked: 'tiny/2', got: 'tiny/1', try: null },
      writable: { layer: 'deployments/tiny/1/ephemeral' },
    });
    const says = `tiny/2 was booted ${tries} times and never found good; booting tiny/1 in its place`;
    const lacks = `Linux ${disk.kver}, the kernel of tiny/2, has no modules on tiny/1: tiny/2 is damaged`;
    expect(report.fallbacks).toEqual(whole ? [says] : [says, lacks]);
    expect(console.split('\n').filter((line) => line === `imgboot: ${says}`)).toHaveLength(1);
    expect(await versionFiles(disk, 'tiny/2')).toEqual({ tries: String(tries) });
    expect(await versionFiles(disk, 'tiny/1')).toEqual({ good: '' });
  });
});

it('a persistent directory that is missing stops the boot, and is named', async (context) => {
  const disk = await deploymentDisk(work.path, 'ext4', {
    lines: { 2: ['persist=/home', 'persist=/srv'] },
    prepare: 'touch tiny/2/good; mkdir -p tiny/persist/%2Fhome',
  });
  await using machine = await startDeployment(context, disk, {
    name: 'missing',
    words: 'imgboot.deployment=tiny/2 imgboot.writable=ram',
  });
  const line = await machine.expect(/imgboot: .* To mend it: .*/, { timeoutMs: 90_000, unless: /FACT.*/ });
  expect(line).toContain(
    'imgboot: mounting the persistent directory /srv of tiny/2: there is no directory /var/lib/imgboot/deployments/tiny/persist/%2Fsrv. To mend it: ',
  );
  await machine.expect('imgboot: the machine is halted.', { timeoutMs: 30_000, unless: /imgboot# / });
});
