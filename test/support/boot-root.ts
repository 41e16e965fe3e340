import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { execa } from 'execa';
import { hookLibrary, hookPort } from './hook-shells.ts';
import { TemporaryDirectory } from './temporary-directory.ts';

const boot = `
set -eu
store=$2 imgboot_lib=$1 imgboot_run=$3/run imgboot_work=$3/work
${hookPort}
. "$imgboot_lib/imgboot.sh"
# The machine began just now.
imgboot_now() { imgboot_reply=100; }
imgboot_parse_cmdline "root=/dev/vda imgboot.deployment=$4 $5"
imgboot_store_path=/imgboot imgboot_store_dir=$store imgboot_layers_dir=$store/layers
imgboot_step start
set +e
imgboot_open_deployment
[ -z "$imgboot_top" ] || { imgboot_top_dir=$imgboot_top; imgboot_measure_toplayer; }
imgboot_make_root "$3/root"
imgboot_mount_persist "$3/root"
imgboot_step ''
imgboot_write_report /sbin/init
imgboot_keep_report "$imgboot_place"
cd "$3/root" && sh -euc "$6"
`;

/**
 * Makes the root of a deployment's version as a boot of it does, by the hooks themselves, and runs a script in it, in
 * place of the system: what it leaves in the store is what that boot and that system would have left.
 * @param request.words for the kernel command line; `toplayer=` is a directory here
 */
export async function bootRoot(
  store: string,
  { version, words = '', run }: { version: string; words?: string; run: string },
): Promise<void> {
  await using work = await TemporaryDirectory.create();
  for (const name of ['run', 'work/disk', 'work/merge', 'work/ram', 'root'])
    mkdirSync(path.join(work.path, name), { recursive: true });
  const args = [hookLibrary, store, work.path, version, words, run];
  await execa('unshare', ['--mount', '--propagation', 'private', 'dash', '-c', boot, 'sh', ...args]);
}
