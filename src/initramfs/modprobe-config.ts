import type { RootedEntry, RootedTree } from '../system/rooted.ts';
import { byBytes } from '../system/rooted.ts';
import type { ArchivePlan } from './archive-plan.ts';
import { printable } from './member-line.ts';
import { normalName } from './module-index.ts';

/** Where kmod looks; of two files with one name, the first counts. @see modprobe.d(5) */
const directories = [
  '/etc/modprobe.d',
  '/usr/local/lib/modprobe.d',
  '/usr/lib/modprobe.d',
  '/lib/modprobe.d',
];

/** The image's own wishes about modules. */
export class ModprobeConfig {
  readonly #files = new Map<string, { entry: RootedEntry; bytes: Buffer }>();
  readonly #lines: { file: string; words: string[]; text: string }[] = [];

  constructor(tree: RootedTree) {
    for (const directory of directories) {
      for (const name of tree.list(directory)) {
        const entry = name.endsWith('.conf') ? tree.resolveFile(`${directory}/${name}`) : undefined;
        if (entry === undefined || this.#files.has(name)) continue;
        this.#files.set(name, { entry, bytes: tree.read(entry) });
      }
    }
    for (const [, { entry, bytes }] of [...this.#files].sort(([a], [b]) => byBytes(a, b))) {
      // A backslash joins a line with the next.
      for (const text of bytes.toString('utf8').replaceAll('\\\n', ' ').split('\n')) {
        const words = text.trim().split(/\s+/);
        if (words.length > 1 && !words[0]!.startsWith('#'))
          this.#lines.push({ file: entry.path, words, text });
      }
    }
  }

  /** As modules.softdep has them. */
  get softDependencies(): string {
    return this.#lines
      .flatMap(({ words, text }) => (words[0] === 'softdep' ? [`${text.trim()}\n`] : []))
      .join('');
  }

  /** The options of a module, as insmod takes them; empty where there are none. */
  optionsOf(module: string): string {
    return this.#lines
      .filter(({ words: [keyword, name] }) => keyword === 'options' && normalName(name!) === module)
      .map(({ words }) => words.slice(2).join(' '))
      .join(' ');
  }

  /** What a user should know of commands that modprobe would run in place of loading one of these modules. */
  warningsFor(modules: ReadonlySet<string>): string[] {
    return this.#lines
      .filter(({ words: [keyword, name] }) => keyword === 'install' && modules.has(normalName(name!)))
      .map(
        ({ file, words }) =>
          `${printable(file)}: ${printable(words.join(' '))}: the initramfs loads ${words[1]!} and runs no command for it; --omit ${words[1]!} leaves it out`,
      );
  }

  /** For the modprobe of the initramfs. */
  plan(plan: ArchivePlan): void {
    plan.because('module index', () => {
      for (const [name, { bytes }] of this.#files) {
        plan.addFile(`/etc/modprobe.d/${name}`, { expectedBytes: bytes.length, load: () => bytes });
      }
    });
  }
}
