import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync, type BigIntStats } from 'node:fs';
import { dirname } from 'node:path';
import { errnoOf } from '../errors.ts';

/** A file that was changed just now may be changed again without its times telling: clocks tick in steps. */
const SETTLED_MS = 1000;
/** What is remembered of the files of a few large contexts. */
const MAX_ENTRIES = 200_000;

/**
 * The digests of files that were hashed before, as long as device, inode, size and times are the same: ctime cannot
 * be set back by who changes a file.
 */
export class ContentDigests {
  readonly #path: string;
  readonly #known: Map<string, string>;
  readonly #new: Map<string, string>;

  /** @param path a file of the build cache; one that is not JSON is taken as empty */
  constructor(path: string, given: readonly [string, string][] = []) {
    this.#path = path;
    this.#known = new Map([...read(path), ...given]);
    this.#new = new Map(given);
  }

  find(stats: BigIntStats): string | undefined {
    return this.#known.get(keyOf(stats));
  }

  add(stats: BigIntStats, digest: string): void {
    this.#known.set(keyOf(stats), digest);
    this.#new.set(keyOf(stats), digest);
  }

  /** What was added. */
  get added(): [string, string][] {
    return [...this.#new];
  }

  /** Keeps what was added, but for files that were changed just now. Builds side by side may lose each other's. */
  save(): void {
    const before = BigInt(Date.now() - SETTLED_MS) * 1_000_000n;
    const settled = [...this.#new].filter(([key]) => BigInt(key.slice(key.lastIndexOf(':') + 1)) < before);
    if (settled.length === 0) return;
    const all = [...new Map([...read(this.#path), ...settled])].slice(-MAX_ENTRIES);
    mkdirSync(dirname(this.#path), { recursive: true, mode: 0o700 });
    const aside = `${this.#path}.${randomBytes(6).toString('hex')}.new`;
    writeFileSync(aside, JSON.stringify(all), { mode: 0o600 });
    renameSync(aside, this.#path);
  }
}

function keyOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [dev, ino, size, mtimeNs, ctimeNs].join(':');
}

function read(path: string): [string, string][] {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as [string, string][];
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || error instanceof SyntaxError) return [];
    throw error;
  }
}
