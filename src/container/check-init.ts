import { ImgbootError } from '../errors.ts';
import type { RootedTree } from '../system/rooted.ts';
import { hasNamedHierarchy, hasUnifiedCgroups } from './limits/container-cgroup.ts';

/** The first systemd that refuses cgroup v1, unless the kernel's command line has a word for it. */
const UNIFIED_ONLY = 256;

/**
 * Whether an image's init can be the first process of a container here.
 * @throws IMGBOOT_CANNOT_BOOT, naming what can
 */
export function checkInit(tree: RootedTree, program: string): void {
  const init = tree.resolveFile(program);
  if (init === undefined)
    throw new ImgbootError('IMGBOOT_CANNOT_BOOT', `the image has no init ${program}`, {
      hint: 'install one in the image (systemd-sysv, busybox), or name it after the image',
    });
  if (!init.path.endsWith('/systemd') || hasUnifiedCgroups()) return;
  const version = systemdVersion(tree);
  if (version !== undefined && version >= UNIFIED_ONLY)
    throw impossible(`systemd ${version} runs on cgroup v2 alone, and this host's controllers are on v1`);
  if (!hasNamedHierarchy('systemd'))
    throw impossible("this host's cgroup v1 has no hierarchy of systemd's (name=systemd)");
}

function impossible(why: string): ImgbootError {
  return new ImgbootError(
    'IMGBOOT_CANNOT_BOOT',
    `the image's init cannot be run in a container here: ${why}`,
    {
      hint: 'imgboot qemu boots it as a machine of its own',
    },
  );
}

/** Its private library has the version in its name; where it lies is the distribution's choice. */
function systemdVersion(tree: RootedTree): number | undefined {
  const directories = ['/usr/lib/systemd', '/usr/lib64/systemd'];
  for (const name of tree.list('/usr/lib')) directories.push(`/usr/lib/${name}/systemd`);
  for (const directory of directories) {
    for (const name of tree.list(directory)) {
      const version = /^libsystemd-shared-([0-9]+)\b.*\.so$/.exec(name)?.[1];
      if (version !== undefined) return Number(version);
    }
  }
  return undefined;
}
