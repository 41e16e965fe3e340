import path from 'node:path';
import { execa } from 'execa';
import { hookLibrary, hookPort } from './hook-shells.ts';

/**
 * Makes a writable layer as a boot does, with the hooks' own shell, has a script change the new root, and unmounts it.
 * $1: the hooks' library  $2: an empty directory  $3: the file system that has the store  $4: words of the kernel command
 * line  $5: the top layer's directory; none where empty  $6: the script
 */
const boot = `
set -eu
imgboot_lib=$1 imgboot_run=$2/run imgboot_work=$2/work
mkdir -p "$imgboot_run" "$imgboot_work/merge" "$imgboot_work/ram" "$2/root"
${hookPort}
. "$imgboot_lib/imgboot.sh"
imgboot_device=/dev/none
imgboot_parse_cmdline "root=/dev/none $4"
imgboot_find_store "$3"
if [ -n "$imgboot_deployment" ]; then imgboot_open_deployment; else imgboot_find_image "$imgboot_image"; fi
if [ -n "$5" ]; then
  imgboot_top=$5 imgboot_top_dir=$5
  imgboot_measure_toplayer
fi
imgboot_make_root "$2/root"
(cd "$2/root" && eval "$6")
`;

/** What one boot of an image of a store is given and does. */
export interface BootScript {
  /** Where the store's file system is mounted. */
  filesystem: string;
  /** The store, absolute. */
  store: string;
  image: string;
  /** `ephemeral` by default. */
  writable?: string;
  topLayer?: string;
  /** Runs in the new root. */
  script: string;
}

/** A boot of an image that is none: what it leaves in the store is what a boot leaves. */
export async function bootOnce(work: string, boot_: BootScript): Promise<void> {
  const { filesystem, store, image, writable = 'ephemeral', topLayer = '', script } = boot_;
  const words = `imgboot.image=${image} imgboot.store=/${path.relative(filesystem, store)} imgboot.writable=${writable}`;
  const shell = ['dash', '-c', boot, 'sh', hookLibrary, work, filesystem, words, topLayer, script];
  await execa('unshare', ['--mount', '--propagation', 'private', ...shell], { env: { LC_ALL: 'C' } });
}
