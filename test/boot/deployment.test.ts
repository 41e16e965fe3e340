import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  bootDeployment,
  deploymentDisk,
  inDeployments,
  layersOf,
  versionFiles,
} from '../support/deployment-disk.ts';
import { onDisk } from '../support/disk-check.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';

/** Each step of a boot has a limit of its own; this one is for when all are near it. */
const manyBoots = { timeout: 600_000 };

let work: TemporaryDirectory;
beforeEach(async () => {
  work = await TemporaryDirectory.create();
});
afterEach(async () => work[Symbol.asyncDispose]());

describe.each([{ filesystem: 'btrfs' }, { filesystem: 'ext4' }] as const)(
  'a deployment on $filesystem',
  ({ filesystem }) => {
    it('counts its boots until one is blessed', manyBoots, async (context) => {
      const disk = await deploymentDisk(work.path, filesystem, {});
      const boot = async (name: string, more = ''): ReturnType<typeof bootDeployment> =>
        bootDeployment(context, disk, { name, words: `panic=1 imgboot.deployment=tiny${more}` });
      const first = await boot('first');
      expect(first.facts).toEqual(['version 2', 'home/mark image', `usr/lib/modules/${disk.kver}/name two`]);
      expect(first.report).toMatchObject({
        reference: 'tiny:2',
        deployment: { asked: 'tiny', got: 'tiny/2', try: 1 },
        writable: { asked: 'ephemeral', got: 'ephemeral', layer: 'deployments/tiny/2/ephemeral' },
        fallbacks: [],
      });
      expect(await versionFiles(disk, 'tiny/2')).toEqual({ tries: '1' });
      // A boot into RAM is counted, too.
      const second = await boot('second', ' test=bless imgboot.writable=ram');
      expect(second.facts.slice(-2)).toEqual(['bless 0', 'bless 0']);
      expect(second.report).toMatchObject({
        deployment: { try: 2 },
        writable: { got: 'ram', layer: null },
      });
      expect(await versionFiles(disk, 'tiny/2')).toEqual({ good: '' });
      // One that is good is not counted; its disk can be written to all the same: it is to be upgraded.
      const third = await boot('third', ' imgboot.writable=ram');
      expect(third.report.deployment).toEqual({ asked: 'tiny', got: 'tiny/2', try: null });
      expect(await versionFiles(disk, 'tiny/2')).toEqual({ good: '' });
      const kept = await onDisk(disk, 'cd var/lib/imgboot/boots/tiny; ls; cat 2.json');
      const [names, json] = [kept.slice(0, kept.indexOf('{')), kept.slice(kept.indexOf('{'))];
      expect(names.trim().split('\n')).toEqual(['1.json', '2.good', '2.json', '3.json']);
      expect(JSON.parse(json)).toEqual(second.report);
      expect(Math.abs(Date.parse(second.report.time!) - Date.now())).toBeLessThan(3_600_000);
    });

    it(
      'has its writable layers to itself, and its persistent directories always',
      manyBoots,
      async (context) => {
        const persist = ['persist=/srv/data', 'persist=/home', 'persist=/srv'];
        const disk = await deploymentDisk(work.path, filesystem, {
          lines: { 2: persist },
          prepare: `touch tiny/2/good; mkdir tiny/persist; cd tiny/persist
          ${filesystem === 'btrfs' ? 'btrfs -q subvolume create %2Fhome' : 'mkdir %2Fhome'}
          mkdir %2Fsrv %2Fsrv%2Fdata; printf d > %2Fsrv%2Fdata/mark`,
        });
        const module = `usr/lib/modules/${disk.kver}/name two`;
        const boot = async (name: string, writable: string): Promise<string[]> => {
          const words = `panic=1 imgboot.deployment=tiny/2 imgboot.writable=${writable}`;
          const { facts, report } = await bootDeployment(context, disk, { name, words });
          expect(report).toMatchObject({
            deployment: { asked: 'tiny/2', got: 'tiny/2', try: null },
            writable: { asked: writable, got: writable },
            fallbacks: [],
          });
          expect(facts.splice(-1)).toEqual([module]);
          return facts;
        };
        expect(await boot('fresh', 'ephemeral')).toEqual(['version 2', 'srv/data/mark d']);
        expect(await boot('previous', 'previous')).toEqual([
          'version 2',
          'mark 2',
          'home/mark 2',
          'srv/mark 2',
          'srv/data/mark d2',
        ]);
        expect(await boot('ram', 'ram')).toEqual([
          'version 2',
          'home/mark 22',
          'srv/mark 22',
          'srv/data/mark d22',
        ]);
        expect(await boot('persistent', 'persistent')).toEqual([
          'version 2',
          'home/mark 222',
          'srv/mark 222',
          'srv/data/mark d222',
        ]);
        expect(await boot('previous-again', 'previous')).toEqual([
          'version 2',
          'mark 22',
          'home/mark 2222',
          'srv/mark 2222',
          'srv/data/mark d2222',
        ]);
        expect(await layersOf(disk, 'tiny/2')).toEqual([
          'ephemeral',
          'persistent',
          'persistent.chain',
          'persistent.toplayer',
        ]);
      },
    );
  },
);

it('the last ephemeral layer comes back with the top layer that it had', manyBoots, async (context) => {
  const top = (content: string): string => `mkdir -p /mnt/top/etc; echo ${content} > /mnt/top/etc/top`;
  const disk = await deploymentDisk(work.path, 'ext4', { prepare: `touch tiny/1/good; ${top('first')}` });
  const boot = async (name: string, writable: string): Promise<string[]> => {
    const words = `panic=1 imgboot.deployment=tiny/1 imgboot.writable=${writable} toplayer=/dev/vda toplayer_path=top`;
    return (await bootDeployment(context, disk, { name, words })).facts;
  };
  expect(await boot('fresh', 'ephemeral')).toEqual(['version 1', 'etc/top first', 'home/mark image']);
  await inDeployments(disk.path, top('second'));
  expect(await boot('persistent', 'persistent')).toEqual(['version 1', 'etc/top second', 'home/mark image']);
  expect(await boot('previous', 'previous')).toEqual([
    'version 1',
    'etc/top first',
    'mark 1',
    'home/mark image1',
  ]);
});
