import { ImgbootError } from '../errors.ts';
import { RootedTree, type RootedEntry } from '../system/rooted.ts';
import type { ArchivePlan } from './archive-plan.ts';
import type { Contents, ListedProgram } from './contents.ts';
import { ElfFile, isElf } from './elf.ts';
import { LibraryClosure } from './library-closure.ts';

/** Where the programs of an initramfs came from. */
export interface ProgramOrigin {
  /** All of them from one place: programs of different systems never share a C library. */
  programs: 'image' | 'host';
  busybox: 'image' | 'host';
}

interface ProgramRequest {
  contents: Contents;
  /** e_machine of the kernel's modules; undefined where it has none. */
  machine: number | undefined;
  /** Whether a module is in the archive or built into its kernel. */
  hasModule: (name: string) => boolean;
  /** Whether a module was asked for by its name, or by a machine that cannot mount its root without. */
  isAskedFor: (name: string) => boolean;
  /** Gets what a user should know. */
  warnings: string[];
}

const programDirectories = ['/usr/sbin', '/usr/bin', '/sbin', '/bin'] as const;
const busyboxNames = ['busybox', 'busybox.static', 'busybox-static'] as const;

/** What to install for a program. */
const packages: Record<string, string> = {
  blkid: 'util-linux',
  btrfs: 'btrfs-progs',
  tar: 'tar',
  cryptsetup: 'cryptsetup-bin',
  lvm: 'lvm2',
  e2fsck: 'e2fsprogs',
  busybox: 'busybox-static',
};

const EM_386 = 3;
const EM_X86_64 = 62;

/**
 * Plans busybox with its applets, and the programs of the lists with their libraries: from the image where it has
 * them all, else all from this machine. Nothing of either is run.
 * @throws IMGBOOT_MISSING_PROGRAM, IMGBOOT_MISSING_LIBRARY
 */
export function planPrograms(plan: ArchivePlan, image: RootedTree, request: ProgramRequest): ProgramOrigin {
  const host = new RootedTree('/');
  const isHost = image.root === host.root;
  const { contents, machine } = request;
  const listed = contents
    .programs()
    .filter(({ module: behind }) => behind === undefined || request.hasModule(behind));
  const names = listed.filter((program) => isNeeded(program, request)).map(({ name }) => name);
  const trees = isHost ? [host] : [image, host];
  const source = trees.find((tree) => names.every((name) => findProgram(tree, name, machine) !== undefined));
  if (source === undefined) throw missingProgram(trees, names, machine);
  const found = listed.flatMap((program) => {
    const entry = findProgram(source, program.name, machine);
    return entry === undefined ? [] : [{ ...program, entry }];
  });
  const closure = new LibraryClosure(source);
  for (const { name, entry, opened } of found) {
    plan.because(`program ${name}`, () => {
      plan.addFromTree(source, `/usr/bin/${name}`, entry);
      for (const library of closure.of(entry, opened)) {
        plan.because(isForAll(library.path) ? 'C library' : `program ${name}`, () =>
          plan.addFromTree(source, library.path, library.entry),
        );
      }
    });
  }
  request.warnings.push(...closure.warnings);
  const busybox = planBusybox(plan, trees, request);
  return {
    programs: source === host ? 'host' : 'image',
    busybox: busybox === host ? 'host' : 'image',
  };
}

function isNeeded({ needed, module: behind }: ListedProgram, request: ProgramRequest): boolean {
  return needed === 'always' || (needed === 'if-asked' && behind !== undefined && request.isAskedFor(behind));
}

/** Whether no program of the list does without it. */
function isForAll(library: string): boolean {
  return /\/(libc\.so\.|libc\.musl-|ld-(linux|musl))/.test(library);
}

/** @returns the tree that busybox came from */
function planBusybox(
  plan: ArchivePlan,
  trees: readonly RootedTree[],
  request: Pick<ProgramRequest, 'contents' | 'machine'>,
): RootedTree {
  for (const tree of trees) {
    const entry = busyboxNames
      .flatMap((name) => findProgram(tree, name, request.machine) ?? [])
      .find((candidate) => isStatic(tree, candidate));
    if (entry === undefined) continue;
    const bytes = tree.read(entry);
    plan.because('busybox', () =>
      plan.addFile('/usr/bin/busybox', { expectedBytes: bytes.length, load: () => bytes }, 0o755),
    );
    const has = appletsOf(bytes);
    for (const path of request.contents.applets()) {
      if (has.has(path.slice(path.lastIndexOf('/') + 1))) plan.addSymlink(path, '/usr/bin/busybox');
    }
    return tree;
  }
  throw new ImgbootError(
    'IMGBOOT_MISSING_PROGRAM',
    'there is no statically linked busybox, neither in the image nor on this machine',
    { hint: 'install it: apt-get install busybox-static (Arch, Fedora: busybox; Alpine: busybox-static)' },
  );
}

/** More than the names of all applets there are take. */
const APPLET_TABLE_BYTES = 8192;

/** The applets of a busybox, and more: their names lie in it as one table of strings, each ending in a zero byte. */
function appletsOf(busybox: Buffer): Set<string> {
  const inTable = Math.max(APPLET_TABLE_BYTES, busybox.indexOf('\0cat\0', 0, 'latin1'));
  const names = busybox.toString('latin1', inTable - APPLET_TABLE_BYTES, inTable + APPLET_TABLE_BYTES);
  return new Set(names.split('\0'));
}

/** A program for the machine that the kernel is for. */
function findProgram(tree: RootedTree, name: string, machine: number | undefined): RootedEntry | undefined {
  for (const directory of programDirectories) {
    const entry = tree.resolveFile(`${directory}/${name}`);
    if (entry === undefined) continue;
    const bytes = tree.read(entry, 64);
    // A multi-call program under this name is not the tool that is meant.
    if (!isElf(bytes) || (!name.startsWith('busybox') && entry.path.endsWith('/busybox'))) continue;
    const elf = new ElfFile(bytes, entry.path);
    if (
      machine === undefined ||
      elf.machine === machine ||
      (machine === EM_X86_64 && elf.machine === EM_386)
    ) {
      return entry;
    }
  }
  return undefined;
}

function isStatic(tree: RootedTree, entry: RootedEntry): boolean {
  const info = new ElfFile(tree.read(entry), entry.path).dynamic();
  return info.interpreter === undefined && info.needed.length === 0;
}

function missingProgram(
  trees: readonly RootedTree[],
  names: readonly string[],
  machine: number | undefined,
): ImgbootError {
  const lacking = (tree: RootedTree): string[] =>
    names.filter((name) => findProgram(tree, name, machine) === undefined);
  const host = lacking(trees.at(-1)!);
  const image = trees.length > 1 ? `; the image lacks ${lacking(trees[0]!).join(', ')}` : '';
  const wanted = [...new Set(host.map((name) => packages[name] ?? name))].join(' ');
  return new ImgbootError(
    'IMGBOOT_MISSING_PROGRAM',
    `the initramfs needs ${host.join(', ')}, which this machine does not have${image}`,
    { hint: `install on this machine, or in the image: apt-get install ${wanted}` },
  );
}
