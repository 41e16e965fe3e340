import { gunzipSync } from 'node:zlib';
import { errorMessage } from '../errors.ts';
import type { RootedTree } from '../system/rooted.ts';
import type { ArchivePlan } from './archive-plan.ts';
import { printable } from './member-line.ts';

/** What a console is to be like: a keymap as loadkeys reads it, a font as busybox's loadfont does. */
interface ConsoleSettings {
  keymap: { name: string; text: string } | undefined;
  font: Buffer | undefined;
}

/**
 * Plans the keymap and the font that the image has on its console, for passphrases and shells: as systemd's
 * vconsole.conf names them, or as Debian's console-setup keeps them. The keymap is compiled here, by this machine's
 * loadkeys, so that busybox can load it.
 * @see vconsole.conf(5), keyboard(5), setupcon(1)
 */
export async function planConsole(plan: ArchivePlan, tree: RootedTree, warnings: string[]): Promise<void> {
  const { keymap, font } = readSettings(tree, warnings);
  const compiled = keymap && (await compile(keymap, warnings));
  plan.because('console', () => {
    if (compiled !== undefined) {
      plan.addFile('/etc/imgboot/keymap', { expectedBytes: compiled.length, load: () => compiled });
    }
    if (font !== undefined) {
      plan.addFile('/etc/imgboot/font', { expectedBytes: font.length, load: () => font });
    }
  });
}

function readSettings(tree: RootedTree, warnings: string[]): ConsoleSettings {
  const vconsole = readVariables(tree, '/etc/vconsole.conf');
  if (vconsole.size > 0) {
    const [keymap, font] = [vconsole.get('KEYMAP') ?? '', vconsole.get('FONT') ?? ''];
    // What the kernel has by itself needs no file.
    const isOwn = ['', 'us', '@kernel'].includes(keymap);
    return {
      keymap: isOwn ? undefined : keymapNamed(tree, keymap, warnings),
      font: font === '' ? undefined : fontNamed(tree, font, warnings),
    };
  }
  return { keymap: debianKeymap(tree, warnings), font: debianFont(tree) };
}

/** The variables of a file that a shell may source; nothing in it is run. */
function readVariables(tree: RootedTree, path: string): Map<string, string> {
  const text = tree.readFile(path)?.toString('utf8') ?? '';
  return new Map(
    [...text.matchAll(/^\s*([A-Z_]+)=(?:"([^"\n]*)"|'([^'\n]*)'|([^\s#]*))/gm)].map(
      ([, name = '', double, single, plain]) => [name, double ?? single ?? plain ?? ''],
    ),
  );
}

const keymapDirectories = ['/usr/share/kbd/keymaps', '/usr/lib/kbd/keymaps', '/usr/share/keymaps'] as const;
const fontDirectories = [
  '/usr/share/kbd/consolefonts',
  '/usr/lib/kbd/consolefonts',
  '/usr/share/consolefonts',
] as const;

function keymapNamed(
  tree: RootedTree,
  name: string,
  warnings: string[],
): { name: string; text: string } | undefined {
  const files = new KeymapFiles(tree);
  const text = files.expand(name);
  if (text === undefined) {
    warnings.push(`the image's keymap ${printable(name)} is in none of ${keymapDirectories.join(', ')}`);
    return undefined;
  }
  return { name, text };
}

/** How deep keymaps include each other, at most. */
const MAX_INCLUDES = 16;

/** The keymaps of an image, by their names without endings. */
class KeymapFiles {
  readonly #tree: RootedTree;
  readonly #paths = new Map<string, string>();

  constructor(tree: RootedTree) {
    this.#tree = tree;
    for (const directory of keymapDirectories) this.#collect(directory);
  }

  /** A keymap with what it includes in its place. */
  expand(name: string, depth = 0): string | undefined {
    const path = name.startsWith('/') ? name : this.#paths.get(withoutEnding(name));
    const bytes = path === undefined || depth > MAX_INCLUDES ? undefined : this.#tree.readFile(path);
    if (bytes === undefined) return undefined;
    return unpacked(bytes)
      .toString('latin1')
      .replaceAll(
        /^\s*include\s+"([^"\n]+)".*$/gm,
        (_, other: string) => this.expand(other, depth + 1) ?? '',
      );
  }

  #collect(directory: string): void {
    for (const name of this.#tree.list(directory)) {
      const path = `${directory}/${name}`;
      // A link to a directory above would never end.
      if (this.#tree.locate(path)?.kind === 'directory') this.#collect(path);
      else if (!this.#paths.has(withoutEnding(name))) this.#paths.set(withoutEnding(name), path);
    }
  }
}

function withoutEnding(name: string): string {
  return name.slice(name.lastIndexOf('/') + 1).replace(/(\.(map|kmap|inc))?(\.gz)?$/, '');
}

function fontNamed(tree: RootedTree, name: string, warnings: string[]): Buffer | undefined {
  const endings = ['', '.psf', '.psfu', '.psf.gz', '.psfu.gz', '.gz'];
  for (const directory of fontDirectories) {
    for (const ending of endings) {
      const bytes = tree.readFile(`${directory}/${name}${ending}`);
      if (bytes !== undefined) return unpacked(bytes);
    }
  }
  warnings.push(`the image's console font ${printable(name)} is in none of ${fontDirectories.join(', ')}`);
  return undefined;
}

/** Where setupcon keeps what it worked out of /etc/default/keyboard and console-setup. */
const CACHE = '/etc/console-setup';

function debianKeymap(tree: RootedTree, warnings: string[]): { name: string; text: string } | undefined {
  const keyboard = readVariables(tree, '/etc/default/keyboard');
  const layout = keyboard.get('XKBLAYOUT') ?? '';
  const isPlain = ['', 'us'].includes(layout) && !keyboard.get('XKBVARIANT') && !keyboard.get('XKBOPTIONS');
  if (isPlain) return undefined;
  const name = tree.list(CACHE).find((file) => /^cached.*\.kmap\.gz$/.test(file));
  const bytes = name === undefined ? undefined : tree.readFile(`${CACHE}/${name}`);
  if (bytes !== undefined) return { name: layout, text: unpacked(bytes).toString('latin1') };
  warnings.push(
    `the image's keyboard layout ${printable(layout)} is not in the initramfs: ${CACHE} has no keymap of it (run setupcon --save-only in the image)`,
  );
  return undefined;
}

function debianFont(tree: RootedTree): Buffer | undefined {
  const script = tree.readFile(`${CACHE}/cached_setup_font.sh`)?.toString('utf8') ?? '';
  const path = /'(\/[^'\n]+\.psf(?:\.gz)?)'/.exec(script)?.[1];
  const bytes = path === undefined ? undefined : tree.readFile(path);
  return bytes && unpacked(bytes);
}

function unpacked(bytes: Buffer): Buffer {
  return bytes[0] === 0x1f && bytes[1] === 0x8b
    ? gunzipSync(bytes, { maxOutputLength: 16 * 1024 * 1024 })
    : bytes;
}

async function compile(
  { name, text }: { name: string; text: string },
  warnings: string[],
): Promise<Buffer | undefined> {
  const { runFilter } = await import('../system/filter.ts');
  try {
    return await runFilter(
      {
        command: ['loadkeys', '--quiet', '--unicode', '--bkeymap', '-'],
        package: 'kbd',
        purpose: `the image's keymap is ${name}`,
      },
      Buffer.from(text, 'latin1'),
    );
  } catch (error) {
    warnings.push(`the keymap ${printable(name)} is not in the initramfs: ${errorMessage(error)}`);
    return undefined;
  }
}
