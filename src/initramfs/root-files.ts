import type { RootedTree } from '../system/rooted.ts';
import type { ArchivePlan } from './archive-plan.ts';

/** Where mdadm(8) looks; Debian's place first. */
const mdadmConfigurations = ['/etc/mdadm/mdadm.conf', '/etc/mdadm.conf'] as const;

/** Arrays keep their names, whatever the host is called: the initramfs has no host name to compare with. */
const MDADM_WITHOUT_HOST = 'HOMEHOST <ignore>\n';

/** What mkinitcpio-docker-hooks boots, where the kernel command line has `docker_path=`. */
const dockerConfiguration = '/etc/docker-btrfs.json';

/**
 * Plans what a system says of its root: the crypttab for the initramfs, mdadm's arrays, and which image of Docker's it
 * is.
 */
export function planRootFiles(plan: ArchivePlan, tree: RootedTree): void {
  const docker = readText(tree, dockerConfiguration);
  if (docker !== '') plan.addText(dockerConfiguration, docker);
  const crypttab = initramfsCrypttab(readText(tree, '/etc/crypttab'), readText(tree, '/etc/fstab'));
  if (crypttab !== '' && plan.has('/usr/bin/cryptsetup')) plan.addText('/etc/crypttab', crypttab, 0o600);
  if (!plan.has('/usr/bin/mdadm')) return;
  const path = mdadmConfigurations.find((candidate) => tree.resolveFile(candidate) !== undefined);
  plan.addText(
    path ?? mdadmConfigurations[1],
    path === undefined ? MDADM_WITHOUT_HOST : readText(tree, path),
  );
}

/**
 * The lines of a crypttab that the initramfs is to open: those that say so, and those that the root or /usr is mounted
 * from by name. Others wait for the system, which has their keys.
 * @see crypttab(5): x-initrd.attach; Debian's crypttab(5): initramfs
 */
export function initramfsCrypttab(crypttab: string, fstab: string): string {
  const mounted = new Set(
    linesOf(fstab)
      .filter(([, point]) => point === '/' || point === '/usr')
      .map(([device = '']) => device),
  );
  const wanted = linesOf(crypttab).filter(([name = '', , , options = '']) => {
    const words = options.split(',');
    if (words.includes('swap') || words.includes('tmp')) return false;
    return (
      words.includes('x-initrd.attach') || words.includes('initramfs') || mounted.has(`/dev/mapper/${name}`)
    );
  });
  return wanted.map((fields) => `${fields.join(' ')}\n`).join('');
}

/** The fields of each line that is no comment. */
function linesOf(table: string): string[][] {
  return table
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.split(/\s+/));
}

function readText(tree: RootedTree, path: string): string {
  return tree.readFile(path)?.toString('utf8') ?? '';
}
