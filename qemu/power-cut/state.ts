import type { DeploymentStatus } from '../../src/deploy/status.ts';
import { onRoot } from '../../test/support/disk-parts.ts';
import { imgboot, listLoaderFiles, readLoaderFile, type SweepDisk } from './disk.ts';

/** What a disk says is deployed, in the store and where the boot loader reads. */
export interface DiskState {
  /** By `imgboot status`. */
  default: string | null;
  versions: string[];
  /** All names below deployments/, two deep, and in tmp/. */
  store: string[];
  /** All names of the loader's file system; what systemd-boot counts left out. */
  loader: string[];
  /** Which version the loader's configuration has for its default. */
  loaderDefault: string | undefined;
}

/** Reads a disk that no machine uses. */
export async function readState(disk: SweepDisk): Promise<DiskState> {
  const script = `'${imgboot}' status --store "$root/imgboot" --json; echo ==
    cd "$root/imgboot"; find deployments tmp -mindepth 1 -maxdepth 2 -printf '%p\\n' | sort; cd /`;
  const [json, names] = (await onRoot(disk, script)).split('\n==\n');
  const status = JSON.parse(json!) as DeploymentStatus;
  return {
    default: status.default,
    versions: status.deployments.map(({ id }) => id),
    store: names!.split('\n').filter((name) => name !== ''),
    loader: await loaderNames(disk),
    loaderDefault: await loaderDefault(disk),
  };
}

/** What is other than it should be on a disk on which nothing is left of a command that was cut. */
export function differences(is: DiskState, expected: DiskState): string[] {
  const compare = (what: 'store' | 'loader'): string[] => [
    ...is[what]
      .filter((name) => !expected[what].includes(name) && !persistent.test(name))
      .map((name) => `left over: ${name}`),
    ...expected[what].filter((name) => !is[what].includes(name)).map((name) => `missing: ${name}`),
  ];
  const faults = [...compare('store'), ...compare('loader')];
  if (is.loaderDefault !== undefined && is.loaderDefault !== is.default)
    faults.push(`the loader boots ${is.loaderDefault}, and the default is ${is.default}`);
  return faults;
}

/** What was deployed with --persist is somebody's data: it stays when nothing names it, and is taken up again. */
const persistent = /^deployments\/[^/]+(\/persist)?$/;

async function loaderNames(disk: SweepDisk): Promise<string[]> {
  return (await listLoaderFiles(disk)).map((name) => name.replace(/\+[0-9]+(-[0-9]+)?(?=\.conf$)/, ''));
}

/** What each loader's configuration has for its default. */
const defaults: Partial<Record<SweepDisk['loader'], { file: string; pattern: RegExp }>> = {
  extlinux: { file: '::/extlinux/imgboot.conf', pattern: /^DEFAULT imgboot-(.+)-(\d+)$/m },
  grub: { file: '::/grub/imgboot.cfg', pattern: /^set imgboot_default='imgboot-(.+)-(\d+)'$/m },
  // The pattern of all versions, while one is counted, names none.
  'systemd-boot': { file: '::/loader/loader.conf', pattern: /^default imgboot-(.+)-(\d+)\[/m },
};

async function loaderDefault(disk: SweepDisk): Promise<string | undefined> {
  const known = defaults[disk.loader];
  if (known === undefined) return undefined;
  const match = known.pattern.exec(await readLoaderFile(disk, known.file));
  return match === null ? undefined : `${match[1]}/${match[2]}`;
}
