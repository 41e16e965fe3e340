import { ImgbootError } from '../errors.ts';
import type { Change } from '../layer/changes.ts';
import { modifiedAt } from '../system/libc.ts';
import { listMounts } from '../system/mountinfo.ts';
import { factsOf, kindOf, NewRoot } from './new-root.ts';
import { showName } from './show.ts';
import type { FileFacts, FileTree } from './tree.ts';

/** File systems whose files are the kernel's own. */
const kernelFilesystems = new Set(
  `proc sysfs devtmpfs devpts cgroup cgroup2 securityfs debugfs tracefs configfs pstore bpf mqueue hugetlbfs efivarfs
   fusectl binfmt_misc autofs nsfs selinuxfs rpc_pipefs`.split(/\s+/),
);

/** What is to be copied into a top layer. */
export interface Sources {
  /** Each directory before what is in it; paths are relative to the root, byte strings. */
  changes: Change[];
  /** Paths that were asked for, as they are without symbolic links in their directories: `/usr/lib/x`. */
  asked: string[];
  /** What is left out, as text, and why. */
  skipped: { path: string; why: string }[];
}

/**
 * Finds what paths of a root name, with all that is in it, and the directories above. A symbolic link is taken as it is;
 * those of the directories on the way are followed inside the root.
 * @param except the inode of a directory that is left out: the top layer itself
 * @throws IMGBOOT_NO_SUCH_FILE, IMGBOOT_USAGE
 */
export function findSources(
  tree: FileTree,
  { paths, except }: { paths: readonly string[]; except: string },
): Sources {
  const search = new Search(tree, except);
  const asked = paths.map((path) => search.place(path));
  for (const place of asked) search.take(place);
  return { changes: search.changes, asked, skipped: search.skipped };
}

class Search {
  readonly changes: Change[] = [];
  readonly skipped: { path: string; why: string }[] = [];
  readonly #tree: FileTree;
  readonly #except: string;
  readonly #taken = new Set<string>();
  /** Inode -> the first path. */
  readonly #links = new Map<string, string>();
  readonly #kernelMounts: ReadonlySet<string>;

  constructor(tree: FileTree, except: string) {
    this.#tree = tree;
    this.#except = except;
    const prefix = tree.root === '/' ? '' : tree.root;
    this.#kernelMounts = new Set(
      listMounts()
        .filter(({ fstype, target }) => kernelFilesystems.has(fstype) && target.startsWith(`${prefix}/`))
        .map(({ target }) => Buffer.from(target.slice(prefix.length)).toString('latin1')),
    );
  }

  /** @throws IMGBOOT_NO_SUCH_FILE, IMGBOOT_USAGE */
  place(path: string): string {
    const root = new NewRoot(this.#tree);
    const clean = `/${path
      .split('/')
      .filter((part) => part !== '' && part !== '.')
      .join('/')}`;
    const { found, name } = root.locate(clean);
    const isThere = found.kind === 'found' && kindOf(found.node) === 'directory';
    const node = !isThere ? undefined : name === '..' ? found.node.parent : root.child(found.node, name);
    if (clean === '/' || node?.place === '')
      throw new ImgbootError('IMGBOOT_USAGE', 'a whole root file system is no top layer', {
        hint: 'name the files that are the own of this machine',
      });
    if (node === undefined)
      throw new ImgbootError('IMGBOOT_NO_SUCH_FILE', `there is no ${showName(clean)} in ${this.#tree.root}`);
    this.#refuse(node.place, factsOf(node));
    return node.place;
  }

  take(place: string): void {
    const parts = place.split('/').slice(1, -1);
    for (const index of parts.keys()) this.#add(`/${parts.slice(0, index + 1).join('/')}`);
    this.#takeAll(place);
  }

  #takeAll(place: string): void {
    const facts = this.#tree.facts(place);
    if (facts === undefined) return;
    const why = this.#whyNot(place, facts);
    if (why !== undefined) {
      this.skipped.push({ path: showName(place), why });
      return;
    }
    this.#add(place, facts);
    if (facts.kind !== 'directory') return;
    for (const name of this.#tree.names(place)) this.#takeAll(`${place}/${name}`);
  }

  #whyNot(place: string, facts: FileFacts): string | undefined {
    if (facts.kind === 'socket') return 'a socket is no file';
    if (facts.inode === this.#except) return 'it is the top layer itself';
    if (this.#kernelMounts.has(place)) return "it is the kernel's";
    if (place.includes('/.wh.')) return 'a name that begins with .wh. deletes a file in a top layer';
    return undefined;
  }

  #refuse(place: string, facts: FileFacts): void {
    const kernel = [...this.#kernelMounts].some((mount) => `${place}/`.startsWith(`${mount}/`));
    const why = kernel ? "it is the kernel's" : this.#whyNot(place, facts);
    const parts = place.split('/').slice(1);
    const isInside = parts.some(
      (_, index) => this.#tree.facts(`/${parts.slice(0, index).join('/')}`)?.inode === this.#except,
    );
    if (why === undefined && !isInside) return;
    throw new ImgbootError(
      'IMGBOOT_USAGE',
      `cannot add ${showName(place)}: ${why ?? 'it is in the top layer'}`,
      {
        hint: 'name the files that are the own of this machine',
      },
    );
  }

  #add(place: string, facts: FileFacts | undefined = this.#tree.facts(place)): void {
    if (facts === undefined || this.#taken.has(place)) return;
    this.#taken.add(place);
    const path = place.slice(1);
    const { mode, uid, gid, mtimeNs, sizeBytes, device, linkTarget } = facts;
    const entry = { path, mode, uid, gid, mtime: modifiedAt({ mtimeNs }), device, sparse: undefined };
    const first = facts.kind === 'directory' || facts.names < 2 ? undefined : this.#links.get(facts.inode);
    if (first !== undefined) {
      const link = { ...entry, type: 'hardlink' as const, linkTarget: first, size: 0, xattrs: new Map() };
      this.changes.push({ entry: link, source: undefined });
      return;
    }
    this.#links.set(facts.inode, path);
    const type = facts.kind === 'socket' ? 'file' : facts.kind;
    const xattrs = this.#tree.xattrs(place);
    this.changes.push({
      entry: { ...entry, type, linkTarget, size: sizeBytes, xattrs },
      source: facts.kind === 'file' ? path : undefined,
    });
  }
}
