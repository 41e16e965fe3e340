import { ImgbootError } from '../errors.ts';
import type { RootedEntry, RootedTree } from '../system/rooted.ts';
import { byBytes } from '../system/rooted.ts';

/** Where a planned file's bytes come from. */
export interface FileContent {
  /** Of what is read, for dividing the work; the bytes themselves decide what is written. */
  expectedBytes: number;
  /** Called once. The bytes are the caller's until the next load. */
  load:
    | (() => Buffer)
    | {
        inBackground: () => Promise<Buffer>;
        /** Called with the bytes when nobody reads them any more. */
        release?: (bytes: Buffer) => void;
      };
}

export type PlannedEntry = { path: string } & (
  | { kind: 'file'; mode: number; content: FileContent; cause: string; alignBytes?: number | undefined }
  | { kind: 'directory'; mode: number }
  | { kind: 'symlink'; target: string }
  | { kind: 'character-device'; mode: number; device: { major: number; minor: number } }
);

/** More never helps a boot: the whole archive lies in memory, packed and unpacked, before anything of it runs. */
const MAX_FILE_BYTES = 1024 * 1024 * 1024;

/** Top directories that are links into /usr in the archive, whatever the image has. */
const mergedIntoUsr = ['bin', 'sbin', 'lib', 'lib32', 'lib64', 'libx32'] as const;

/**
 * What will be in the archive: one entry a path, parents before children. The first to claim a path has it.
 * The layout is usr-merged, so that the tools of any image find their libraries and modules at their usual paths.
 */
export class ArchivePlan {
  readonly #entries = new Map<string, PlannedEntry>();
  readonly #taken = new Set<string>();
  #cause = 'imgboot';

  /** @param hasUsr false for an archive that is not of a root file system */
  constructor({ hasUsr }: { hasUsr: boolean } = { hasUsr: true }) {
    if (!hasUsr) return;
    for (const name of mergedIntoUsr) {
      this.#add({ path: `/${name}`, kind: 'symlink', target: `usr/${name}` });
      this.addDirectory(`/usr/${name}`);
    }
  }

  has(path: string): boolean {
    return this.#entries.has(merged(path));
  }

  /** What is added in `action` is there for this cause. */
  because(cause: string, action: () => void): void {
    const outer = this.#cause;
    this.#cause = cause;
    try {
      action();
    } finally {
      this.#cause = outer;
    }
  }

  /** The files so far, and what each is there for. */
  *causes(): Generator<{ path: string; cause: string }> {
    for (const entry of this.#entries.values()) if (entry.kind === 'file') yield entry;
  }

  /** The last parts of all paths. */
  *names(): Generator<string> {
    for (const path of this.#entries.keys()) yield path.slice(path.lastIndexOf('/') + 1);
  }

  /** Of all files, about. */
  get expectedBytes(): number {
    let sum = 0;
    for (const entry of this.#entries.values()) if (entry.kind === 'file') sum += entry.content.expectedBytes;
    return sum;
  }

  addDirectory(path: string, mode = 0o755): void {
    this.#add({ path: merged(path), kind: 'directory', mode });
  }

  addSymlink(path: string, target: string): void {
    this.#add({ path: merged(path), kind: 'symlink', target });
  }

  addDevice(path: string, mode: number, device: { major: number; minor: number }): void {
    this.#add({ path: merged(path), kind: 'character-device', mode, device });
  }

  /**
   * @param alignBytes the content begins at a multiple of this, from the archive's beginning
   * @throws IMGBOOT_ARCHIVE_LIMIT
   */
  addFile(path: string, content: FileContent, mode = 0o644, alignBytes?: number): void {
    if (content.expectedBytes > MAX_FILE_BYTES) throw tooLarge(path, content.expectedBytes);
    this.#add({ path: merged(path), kind: 'file', mode, content, cause: this.#cause, alignBytes });
  }

  addText(path: string, text: string, mode = 0o644): void {
    const bytes = Buffer.from(text);
    this.addFile(path, { expectedBytes: bytes.length, load: () => bytes }, mode);
  }

  /**
   * A file of a tree under the path by which it is known there; where that goes through links, the file lies at its
   * own path, too, and a link leads to it.
   */
  addFromTree(tree: RootedTree, path: string, entry: RootedEntry): void {
    const own = merged(entry.path);
    const load = (): Buffer => tree.readShared(entry);
    this.addFile(own, { expectedBytes: entry.sizeBytes, load }, entry.mode & 0o755);
    if (merged(path) !== own) this.addSymlink(path, own);
  }

  /**
   * Every entry not taken before, in byte order of the paths, but modules last: programs and libraries have more in
   * common with each other, and compress better side by side.
   */
  take(): PlannedEntry[] {
    const untaken = [...this.#entries.values()].filter((entry) => !this.#taken.has(entry.path));
    for (const { path } of untaken) this.#taken.add(path);
    return untaken.sort(
      (a, b) => Number(isOfModules(a.path)) - Number(isOfModules(b.path)) || byBytes(a.path, b.path),
    );
  }

  #add(entry: PlannedEntry): void {
    if (this.#entries.has(entry.path)) return;
    const parent = entry.path.slice(0, entry.path.lastIndexOf('/'));
    if (parent !== '') this.addDirectory(parent);
    this.#entries.set(entry.path, entry);
  }
}

function isOfModules(path: string): boolean {
  return path === '/usr/lib/modules' || path.startsWith('/usr/lib/modules/');
}

/** The path in a usr-merged tree: `/lib/x` is `/usr/lib/x`. */
function merged(path: string): string {
  const cut = path.indexOf('/', 1);
  const top = path.slice(1, cut);
  return cut !== -1 && (mergedIntoUsr as readonly string[]).includes(top) ? `/usr${path}` : path;
}

function tooLarge(path: string, sizeBytes: number): ImgbootError {
  return new ImgbootError(
    'IMGBOOT_ARCHIVE_LIMIT',
    `${path} has ${sizeBytes} bytes, and a file in an initramfs may have ${MAX_FILE_BYTES}`,
    { hint: 'an initramfs is unpacked into memory: leave large files on the root file system' },
  );
}
