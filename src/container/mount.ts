import { existsSync, realpathSync } from 'node:fs';
import { posix, resolve } from 'node:path';
import { ImgbootError } from '../errors.ts';
import { parseSize } from '../system/size.ts';

/** Something that a container sees at a path of its own. */
export type ContainerMount =
  | {
      kind: 'bind';
      /** The host's file or directory, absolute. */
      source: string;
      target: string;
      readOnly: boolean;
      /** Of the mount, such as `noexec` and `rslave`. */
      options: string[];
    }
  | {
      kind: 'volume';
      name: string;
      target: string;
      readOnly: boolean;
      options: string[];
      /** It was made for this container, and goes with it. */
      anonymous: boolean;
      /** What the image has at the target is put into it when it is new. */
      copy: boolean;
    }
  | { kind: 'tmpfs'; target: string; options: string[] };

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;

/** Options of mount(8) that may be given. */
const passed = new Set(
  'exec noexec suid nosuid dev nodev private rprivate shared rshared slave rslave bind rbind'.split(' '),
);

/**
 * `-v [SOURCE:]TARGET[:OPTIONS]`: SOURCE is a path of the host (with a slash) or a volume's name; without it, the
 * volume is anonymous.
 * @throws IMGBOOT_USAGE, IMGBOOT_NO_SUCH_SOURCE
 */
export function parseVolume(text: string): ContainerMount {
  const parts = text.split(':');
  if (parts.length > 3 || parts.includes('')) throw notAVolume(text);
  const [source, target, words = ''] = parts.length === 1 ? [undefined, parts[0]!] : parts;
  if (!target.startsWith('/')) throw notAVolume(text);
  const { readOnly, options, copy } = readOptions(words, text);
  const common = { target: posix.normalize(target), readOnly, options };
  if (source === undefined) return { kind: 'volume', name: '', anonymous: true, copy, ...common };
  if (source.startsWith('.') || source.includes('/')) {
    return { kind: 'bind', source: existing(resolve(source)), ...common };
  }
  if (!NAME.test(source)) throw notAVolume(text);
  return { kind: 'volume', name: source, anonymous: false, copy, ...common };
}

/** `--tmpfs TARGET[:OPTIONS]`. @throws IMGBOOT_USAGE */
export function parseTmpfs(text: string): ContainerMount {
  const colon = text.indexOf(':');
  const [target, words] = colon < 0 ? [text, ''] : [text.slice(0, colon), text.slice(colon + 1)];
  if (!target.startsWith('/'))
    throw new ImgbootError('IMGBOOT_USAGE', `not a place for a tmpfs: ${JSON.stringify(text)}`, {
      hint: 'it is an absolute path and, after a colon, options of mount(8), such as /scratch:size=64m',
    });
  const given = words.split(',').filter(Boolean);
  const allowed = given.every(
    (word) => passed.has(word) || /^(ro|rw|(size|mode|uid|gid|nr_inodes)=\w+%?)$/.test(word),
  );
  if (!allowed)
    throw new ImgbootError('IMGBOOT_USAGE', `not options of a tmpfs: ${words}`, {
      hint: 'size=, mode=, uid=, gid=, nr_inodes=, ro, exec, suid and dev may be given',
    });
  return { kind: 'tmpfs', target: posix.normalize(target), options: given };
}

/**
 * `--mount type=bind|volume|tmpfs,KEY=VALUE,...`, as docker has it.
 * @throws IMGBOOT_USAGE, IMGBOOT_NO_SUCH_SOURCE
 */
export function parseMount(text: string): ContainerMount {
  const fields = new Map(
    text.split(',').map((field): [string, string] => {
      const [name = '', value = 'true'] = field.split(/=(.*)/s, 2);
      return [name, value];
    }),
  );
  const take = (...names: string[]): string | undefined => {
    const name = names.find((name) => fields.has(name));
    const value = name === undefined ? undefined : fields.get(name);
    for (const taken of names) fields.delete(taken);
    return value;
  };
  const type = take('type') ?? 'volume';
  const target = take('target', 'destination', 'dst');
  const source = take('source', 'src');
  const readOnly = ['true', '1'].includes(take('readonly', 'ro') ?? 'false');
  const propagation = take('bind-propagation');
  const size = take('tmpfs-size');
  const mode = take('tmpfs-mode');
  const wrong = [...fields.keys()][0];
  if (wrong !== undefined || target === undefined || !target.startsWith('/')) throw notAMount(text);
  const options = propagation === undefined ? [] : [propagation];
  const common = { target: posix.normalize(target), readOnly, options };
  switch (type) {
    case 'bind':
      if (source === undefined) throw notAMount(text);
      return { kind: 'bind', source: existing(resolve(source)), ...common };
    case 'volume':
      if (source !== undefined && !NAME.test(source)) throw notAMount(text);
      return { kind: 'volume', name: source ?? '', anonymous: source === undefined, copy: true, ...common };
    case 'tmpfs':
      return {
        kind: 'tmpfs',
        target: common.target,
        options: [
          ...(readOnly ? ['ro'] : []),
          ...(size === undefined ? [] : [`size=${parseSize(size)}`]),
          ...(mode === undefined ? [] : [`mode=${mode}`]),
        ],
      };
    default:
      throw notAMount(text);
  }
}

function readOptions(words: string, text: string): { readOnly: boolean; options: string[]; copy: boolean } {
  const given = words.split(',').filter(Boolean);
  // SELinux labels (z, Z) mean nothing on a host without it; the others are docker's for its own drivers.
  const known = new Set(['ro', 'rw', 'z', 'Z', 'copy', 'nocopy', 'cached', 'delegated', 'consistent']);
  if (!given.every((word) => passed.has(word) || known.has(word))) throw notAVolume(text);
  return {
    readOnly: given.includes('ro'),
    options: given.filter((word) => passed.has(word)),
    copy: !given.includes('nocopy'),
  };
}

function existing(path: string): string {
  if (existsSync(path)) return realpathSync(path);
  throw new ImgbootError('IMGBOOT_NO_SUCH_SOURCE', `${path} is to be mounted and is not there`, {
    hint: 'make it first, or correct the path; a name without a slash is a volume',
  });
}

function notAVolume(text: string): ImgbootError {
  return new ImgbootError('IMGBOOT_USAGE', `not a volume: ${JSON.stringify(text)}`, {
    hint: 'a volume is [SOURCE:]/TARGET[:OPTIONS]: SOURCE a path with a slash or a volume name, OPTIONS such as ro',
  });
}

function notAMount(text: string): ImgbootError {
  return new ImgbootError('IMGBOOT_USAGE', `not a mount: ${JSON.stringify(text)}`, {
    hint: 'a mount is type=bind,source=PATH,target=PATH[,readonly], type=volume,source=NAME,target=PATH or type=tmpfs,target=PATH[,tmpfs-size=SIZE]',
  });
}
