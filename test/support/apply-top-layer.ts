import { mkdtempSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { execa } from 'execa';
import type { DriverName } from '../../src/store/driver.ts';
import { showName } from '../../src/top-layer/show.ts';
import { hookLibrary } from './hook-shells.ts';
import { removeTree } from '../../src/system/remove-tree.ts';

/**
 * Applies a top layer as a boot does: the library, on a root that nobody uses, in a mount namespace of its own; prints its
 * digest and how many files it has. $1: hooks/lib  $2: work  $3: top layer  $4: root  $5: the digest that it must have
 */
export const applyScript = `
set -u
imgboot_lib=$1 imgboot_run=$2/run imgboot_work=$2/work
mkdir -p "$imgboot_run" "$imgboot_work"
host_warn() { printf 'warning: %s\\n' "$1" >&2; }
host_die() { printf '%s\\n' "$1" >&2; exit 3; }
. "$imgboot_lib/imgboot.sh"
imgboot_top_dir=$3 imgboot_writable_got=ephemeral imgboot_topdigest=\${5-}
imgboot_measure_toplayer
imgboot_apply_toplayer "$4"
printf '%s %s\\n' "$imgboot_top_digest" "$imgboot_top_files"
`;

/** $1: directory  $2: where it is written. What is there, without times. */
const list = `
list() {
  (cd "$1" && find . -mindepth 1 ! -type d -printf '%P\\t%y %m %U:%G %l\\0' -o -mindepth 1 -printf '%P\\t%y %m %U:%G\\0') > "$2.facts"
  (cd "$1" && find . -type f -exec sha256sum --zero {} +) > "$2.content"
  (cd "$1" && find . \\( -type b -o -type c \\) -exec stat --printf '%n\\t%t:%T\\0' {} +) > "$2.devices"
  (cd "$1" && getfattr -R -h -d -m '^(user|trusted\\.[^o]|security\\.cap|system\\.posix)' -e hex .) > "$2.xattrs"
}`;

/** $1: work  $2: btrfs, overlay, or plain for a directory  $3: layers, or the directory  $4: the chain, joined by colons; the rest: hooks/lib and the top layer */
const script = `${list}
mkdir "$1/root"
case $2 in
  btrfs) btrfs --quiet subvolume snapshot "$3/\${4%%:*}" "$1/snapshot" > /dev/null; mount --bind "$1/snapshot" "$1/root" ;;
  overlay) mkdir "$1/upper" "$1/work"; cd "$3"; mount -t overlay -o "lowerdir=$4,upperdir=$1/upper,workdir=$1/work" overlay "$1/root"; cd / ;;
  plain) mount --bind "$3" "$1/root" ;;
esac
list "$1/root" "$1/before"
sh -c "$7" sh "$5" "$1/hook" "$6" "$1/root"
list "$1/root" "$1/after"
umount "$1/root"
[ "$2" != btrfs ] || btrfs subvolume delete "$1/snapshot" > /dev/null`;

export interface AppliedByHook {
  digest: string;
  files: number;
  /** `ACTION PATH`, by path: what really is other than before. */
  changes: string[];
}

/** Applies a top layer to a writable view of an image by the boot's own shell, and sees what that changed. Needs root. */
export async function applyByHook(request: {
  driver: DriverName | 'plain';
  /** Of a store; with `plain`, the root file system itself. */
  layers: string;
  /** Topmost first. */
  chain: string[];
  top: string;
}): Promise<AppliedByHook> {
  const { driver, layers, chain, top } = request;
  const place = driver === 'plain' ? layers : path.dirname(layers);
  const work = mkdtempSync(path.join(place, '../applied-'));
  try {
    const args = [work, driver, layers, chain.join(':'), hookLibrary, top, applyScript];
    const isolated = ['--mount', '--propagation', 'private', 'bash', '-euc', script, 'bash', ...args];
    const { stdout } = await execa('unshare', isolated, { env: { LC_ALL: 'C' } });
    const [digest, files] = stdout.trim().split(' ');
    const [before, after] = ['before', 'after'].map((name) => readListing(path.join(work, name)));
    return { digest: digest!, files: Number(files), changes: compare(before!, after!) };
  } finally {
    removeTree(work);
  }
}

interface Listed {
  type: string;
  /** What the file is: its kind, content, target or device. */
  content: string;
  attributes: string;
}

function readListing(base: string): Map<string, Listed> {
  const records = (suffix: string): string[] =>
    readFileSync(`${base}.${suffix}`, 'latin1').split('\0').filter(Boolean);
  const pairs = (suffix: string): Map<string, string> =>
    new Map(
      records(suffix).map((record) => {
        const tab = record.lastIndexOf('\t');
        return [record.slice(0, tab).replace(/^\.\//, ''), record.slice(tab + 1)];
      }),
    );
  const hashes = new Map(records('content').map((record) => [record.slice(68), record.slice(0, 64)]));
  const [devices, xattrs] = [pairs('devices'), readXattrs(`${base}.xattrs`)];
  return new Map(
    [...pairs('facts')].map(([name, facts]) => {
      const [type = '', mode = '', owner = '', ...target] = facts.split(' ');
      const content = [type, hashes.get(name), devices.get(name), ...target].join(' ');
      const attributes = [type === 'l' ? '' : mode, owner, xattrs.get(name)].join(' ');
      return [name, { type, content, attributes }];
    }),
  );
}

/** getfattr's blocks, by name. */
function readXattrs(file: string): Map<string, string> {
  const blocks = readFileSync(file, 'latin1').split('\n\n').filter(Boolean);
  return new Map(
    blocks.map((block) => {
      const [head = '', ...lines] = block.split('\n');
      const name = head
        .replace(/^# file: /, '')
        .replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
      return [name, lines.toSorted().join(' ')];
    }),
  );
}

function compare(before: Map<string, Listed>, after: Map<string, Listed>): string[] {
  const paths = [...new Set([...before.keys(), ...after.keys()])].sort();
  return paths.flatMap((name) => {
    const [old, now] = [before.get(name), after.get(name)];
    const shown = `/${showName(name)}`;
    if (old === undefined) return [`add ${shown}`];
    const above = name.includes('/') ? after.get(name.slice(0, name.lastIndexOf('/'))) : undefined;
    const wentWithParent = name.includes('/') && above?.type !== 'd';
    if (now === undefined) return wentWithParent ? [] : [`delete ${shown}`];
    if (old.content !== now.content) return [`replace ${shown}`];
    return old.attributes === now.attributes ? [] : [`alter ${shown}`];
  });
}
