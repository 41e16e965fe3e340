import { closeSync, existsSync, fsyncSync, ftruncateSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DiskFilesystem } from '../boot/disk.ts';
import type { Deployed } from '../deploy/deploy.ts';
import { openView, type ImageView } from '../store/view.ts';
import { ImgbootError } from '../errors.ts';
import { canonicalPath } from '../system/canonical-path.ts';
import { runCommand } from '../system/exec.ts';
import type { JobContext } from '../system/isolate.ts';
import { LoopDevice } from '../system/loop.ts';
import type { Progress } from '../system/progress.ts';
import { findProgram } from '../system/requirements-check.ts';
import type { BootLoader } from './boot-loader.ts';
import { changingDirectories } from '../loader/publish.ts';
import { writeEsp } from './esp.ts';
import { BOOT_CODE_BYTES, makeGrubForBios, stageGrubForUefi, type GrubForBios } from './grub.ts';
import { sfdiskScript, type Layout, type Partition } from './layout.ts';
import { findLoaderFile, noLoaderFiles, stageLoader } from './loader-files.ts';
import { encryptInto, formatLuks, LUKS_HEADER_BYTES } from './luks.ts';
import { writeRoot, type DiskDeployment } from './root.ts';
import { writeAt } from './write-at.ts';

/** Plain data. */
export interface DiskJob {
  /** The file, as large as the disk, or the device. */
  disk: string;
  sectorBytes: number;
  layout: Layout;
  loader: BootLoader;
  view: ImageView;
  store: string;
  deployment: DiskDeployment;
  topLayer: string | undefined;
  filesystem: DiskFilesystem;
  rootUuid: string;
  espUuid: string;
  luks: { passphrase: string; uuid: string; iterMs: number; content: string } | undefined;
  scratch: string;
}

/**
 * Writes a whole disk: loader files are gathered first, because what is missing shows there; the partition table comes
 * last, so that a disk that is half written is no disk.
 */
export async function runJob(job: DiskJob, { progress }: JobContext): Promise<Deployed> {
  const { disk, layout, loader, scratch, sectorBytes } = job;
  const staging = join(scratch, 'esp');
  mkdirSync(staging);
  const root = openView(job.view);
  if (job.luks !== undefined) requireCryptsetup(root, job.deployment.reference);
  const bios = await gatherLoader(job, { staging, root });
  const attach = ({ offsetBytes, sizeBytes }: Partition): LoopDevice =>
    LoopDevice.attach(disk, { offsetBytes, sizeBytes, sectorBytes });
  const deployed = await (job.luks === undefined ? plainRoot : encryptedRoot)(job, {
    staging,
    attach,
    progress,
  });
  progress({ step: 'writing the boot loader' });
  {
    using device = attach(layout.esp);
    const { sizeBytes } = layout.esp;
    const roomy = ['', ...changingDirectories({ loader: loader.name, directory: loader.directory })];
    await writeEsp(device.path, { staging, uuid: job.espUuid, sizeBytes, roomy });
    if (loader.name === 'extlinux') await installSyslinux(device.path, loader.directory);
  }
  await runCommand(
    'sfdisk',
    ['--quiet', '--wipe', 'always', '--wipe-partitions', 'never', '--no-reread', '--no-tell-kernel', disk],
    {
      input: sfdiskScript(layout),
    },
  );
  writeBootCode(job, bios);
  sync(disk);
  return deployed;
}

interface Means {
  staging: string;
  attach: (partition: Partition) => LoopDevice;
  progress: Progress;
}

/** What makes an upgrade's initramfs on the disk has the image only. @throws IMGBOOT_MISSING_PROGRAM */
function requireCryptsetup(root: string, reference: string): void {
  const places = ['/usr/sbin/cryptsetup', '/usr/bin/cryptsetup', '/sbin/cryptsetup', '/bin/cryptsetup'];
  if (places.some((place) => existsSync(`${root}${canonicalPath(root, place)}`))) return;
  throw new ImgbootError(
    'IMGBOOT_MISSING_PROGRAM',
    `${reference} has no cryptsetup, which opens an encrypted root at each boot`,
    { hint: 'install it in the image: cryptsetup-bin on Debian, cryptsetup elsewhere' },
  );
}

/** Fills `staging`, and returns what BIOS needs besides. @param place.root the image's root file system */
async function gatherLoader(
  { loader, layout, scratch, espUuid }: DiskJob,
  { staging, root }: { staging: string; root: string },
): Promise<GrubForBios | undefined> {
  stageLoader(staging, loader.name, [root, '/']);
  if (loader.name === 'extlinux') {
    if ((await findProgram('syslinux')) === undefined)
      throw noLoaderFiles('extlinux (menu.c32)', 'this host lacks the program syslinux');
    findLoaderFile('extlinux (gptmbr.bin)', ['/']);
  }
  if (loader.name !== 'grub') return undefined;
  const place = { espUuid, scratch };
  if (loader.firmware.has('uefi')) await stageGrubForUefi(staging, place);
  return layout.biosBoot === undefined ? undefined : await makeGrubForBios(place, layout.biosBoot);
}

async function plainRoot(job: DiskJob, { staging, attach, progress }: Means): Promise<Deployed> {
  using device = attach(job.layout.root);
  return await writeRoot({ ...rootRequest(job, staging), device: device.path, progress });
}

/** Without device-mapper a file system cannot be filled through LUKS: it is made in a file, and encrypted from there. */
async function encryptedRoot(job: DiskJob, { staging, attach, progress }: Means): Promise<Deployed> {
  const { content, ...luks } = job.luks!;
  const fd = openSync(content, 'w+', 0o600);
  try {
    ftruncateSync(fd, job.layout.root.sizeBytes - LUKS_HEADER_BYTES);
    const deployed = await writeRoot({ ...rootRequest(job, staging), device: content, progress });
    fsyncSync(fd);
    using device = attach(job.layout.root);
    const secrets = join(job.scratch, 'secrets');
    mkdirSync(secrets);
    await runCommand('mount', ['-t', 'tmpfs', '-o', 'mode=0700', 'tmpfs', secrets]);
    const key = await formatLuks(device.path, { ...luks, secrets });
    encryptInto(device.path, { file: content, key, isSparse: job.filesystem === 'btrfs', progress });
    sync(device.path);
    return deployed;
  } finally {
    closeSync(fd);
  }
}

function rootRequest(
  job: DiskJob,
  staging: string,
): Omit<Parameters<typeof writeRoot>[0], 'device' | 'progress'> {
  const { filesystem, store, deployment, topLayer, loader, espUuid, scratch } = job;
  return {
    filesystem,
    uuid: job.rootUuid,
    mountPoint: join(scratch, 'root'),
    store,
    deployment,
    topLayer,
    loader: {
      loader: loader.name,
      boot: { uuid: espUuid, fstype: 'vfat' },
      directory: loader.directory,
      owner: 'imgboot',
    },
    staging,
  };
}

/** Makes a FAT file system bootable, by mtools. @see syslinux(1) */
async function installSyslinux(device: string, directory: string): Promise<void> {
  await runCommand('syslinux', ['--install', '--directory', directory, device]);
}

/** What BIOS runs: the first bytes of the disk are no part of its partition table. */
function writeBootCode({ disk, layout, loader }: DiskJob, bios: GrubForBios | undefined): void {
  if (bios !== undefined) {
    writeAt(disk, bios.bootCode, 0);
    writeAt(disk, bios.core, layout.biosBoot!.offsetBytes);
  } else if (loader.name === 'extlinux') {
    const code = readFileSync(findLoaderFile('extlinux (gptmbr.bin)', ['/']));
    writeAt(disk, code.subarray(0, BOOT_CODE_BYTES), 0);
  }
}

function sync(path: string): void {
  const fd = openSync(path, 'r+');
  fsyncSync(fd);
  closeSync(fd);
}
