import { execa } from 'execa';
import type { Deployments } from '../../src/deploy/deployments.ts';
import { onRoot, type SweepDisk } from './disk.ts';

/** What a disk says is deployed, in the store and where the boot loader reads. */
export interface DiskState {
  /** By deployments.json. */
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
  const script = `cat "$root/imgboot/deployments.json"; echo; echo ==
    cd "$root/imgboot"; find deployments tmp -mindepth 1 -maxdepth 2 -printf '%p\\n' | sort; cd /`;
  const [json, names] = (await onRoot(disk, script)).split('\n==\n');
  const deployments = JSON.parse(json!) as Deployments;
  return {
    default: deployments.default,
    versions: deployments.deployments.flatMap(({ name, versions }) =>
      versions.map(({ number }) => `${name}/${number}`),
    ),
    store: names!.split('\n').filter((name) => name !== ''),
    loader: await loaderNames(disk),
    loaderDefault: await loaderDefault(disk),
  };
}

/** What is other than it should be on a disk on which nothing is left of a command that was cut. */
export function differences(is: DiskState, expected: DiskState): string[] {
  const compare = (what: 'store' | 'loader'): string[] => [
    ...is[what].filter((name) => !expected[what].includes(name)).map((name) => `left over: ${name}`),
    ...expected[what].filter((name) => !is[what].includes(name)).map((name) => `missing: ${name}`),
  ];
  const faults = [...compare('store'), ...compare('loader')];
  if (is.loaderDefault !== undefined && is.loaderDefault !== is.default)
    faults.push(`the loader boots ${is.loaderDefault}, and the default is ${is.default}`);
  return faults;
}

async function loaderNames(disk: SweepDisk): Promise<string[]> {
  const stdout = await mtools(disk, ['mdir', '-b', '-/'], '::/');
  return stdout
    .split('\n')
    .filter((line) => line.startsWith('::/'))
    .map((line) => line.slice(2).replace(/\+[0-9]+(-[0-9]+)?(?=\.conf$)/, ''));
}

async function loaderDefault(disk: SweepDisk): Promise<string | undefined> {
  const files: Partial<Record<SweepDisk['loader'], [string, RegExp]>> = {
    extlinux: ['::/extlinux/imgboot.conf', /^DEFAULT imgboot-(.+)-(\d+)$/m],
    grub: ['::/grub/imgboot.cfg', /^set imgboot_default='imgboot-(.+)-(\d+)'$/m],
    // The pattern of all versions, while one is counted, names none.
    'systemd-boot': ['::/loader/loader.conf', /^default imgboot-(.+)-(\d+)\[/m],
  };
  const file = files[disk.loader];
  if (file === undefined) return undefined;
  const match = file[1].exec(await mtools(disk, ['mtype'], file[0]));
  return match === null ? undefined : `${match[1]}/${match[2]}`;
}

async function mtools({ path, esp }: SweepDisk, command: readonly string[], file: string): Promise<string> {
  const [program = '', ...options] = command;
  const { stdout } = await execa(program, [...options, '-i', `${path}@@${esp.offsetBytes}`, file], {
    env: { MTOOLS_SKIP_CHECK: '1' },
    stripFinalNewline: false,
  });
  return stdout;
}
