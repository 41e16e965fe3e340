import { promisify } from 'node:util';
import { zstdDecompress } from 'node:zlib';
import { byBytes, type RootedTree } from '../system/rooted.ts';
import type { ArchivePlan } from './archive-plan.ts';
import type { KernelConfig } from './kernel-config.ts';

/** How a firmware file may be packed, and what the kernel must have been built with to load it so. */
const packings = [
  { suffix: '', option: undefined, unpack: undefined },
  {
    suffix: '.zst',
    option: 'CONFIG_FW_LOADER_COMPRESS_ZSTD',
    unpack: async (bytes: Buffer) => await promisify(zstdDecompress)(bytes),
  },
  {
    suffix: '.xz',
    option: 'CONFIG_FW_LOADER_COMPRESS_XZ',
    unpack: async (bytes: Buffer) => await (await import('../system/unxz.ts')).unxz(bytes),
  },
] as const;

export interface FirmwareRequest {
  /** Names, each with the module that asks for it. */
  wanted: ReadonlyMap<string, string>;
  /** Why a module is there. */
  causeOf: (module: string) => string | undefined;
  version: string;
  config: KernelConfig | undefined;
  /** Gets what a user should know. */
  warnings: string[];
}

/**
 * Plans the firmware files of the given names, each from the first directory that has it, as the kernel looks.
 * Packed files stay packed where the kernel can load them so.
 * @returns how many there are, and the names that the image does not have
 * @see Documentation/driver-api/firmware/fw_search_path.rst
 */
export function planFirmware(
  plan: ArchivePlan,
  tree: RootedTree,
  request: FirmwareRequest,
): { count: number; missing: string[] } {
  const directories = firmwareDirectories(tree, request.version);
  const missing: string[] = [];
  let count = 0;
  for (const [name, module] of [...request.wanted].sort(([a], [b]) => byBytes(a, b))) {
    const why = request.causeOf(module) ?? 'the kernel';
    const cause = `firmware of ${module}${why === `module ${module}` ? '' : `, pulled by ${why}`}`;
    plan.because(cause, () => {
      if (planNamed(plan, tree, { ...request, name, directories })) count++;
      else missing.push(name);
    });
  }
  return { count, missing };
}

function planNamed(
  plan: ArchivePlan,
  tree: RootedTree,
  request: FirmwareRequest & { name: string; directories: readonly string[] },
): boolean {
  const { name } = request;
  return (
    isPlainPath(name) &&
    request.directories.some((directory) => {
      const matches = name.includes('*') ? expand(tree, directory, name) : [name];
      return matches
        .map((match) => planOne(plan, tree, { ...request, path: `${directory}/${match}` }))
        .some(Boolean);
    })
  );
}

/** Whether a tree has a firmware file, packed or not. */
export function hasFirmware(tree: RootedTree, version: string, name: string): boolean {
  if (!isPlainPath(name)) return false;
  return firmwareDirectories(tree, version).some((directory) =>
    (name.includes('*') ? expand(tree, directory, name) : [name]).some((match) =>
      packings.some(({ suffix }) => tree.resolveFile(`${directory}/${match}${suffix}`) !== undefined),
    ),
  );
}

/** Where the kernel looks, in its order. */
function firmwareDirectories(tree: RootedTree, version: string): string[] {
  return [
    `/lib/firmware/updates/${version}`,
    '/lib/firmware/updates',
    `/lib/firmware/${version}`,
    '/lib/firmware',
  ].filter((path) => tree.resolve(path)?.kind === 'directory');
}

function planOne(plan: ArchivePlan, tree: RootedTree, request: FirmwareRequest & { path: string }): boolean {
  const { path, config } = request;
  for (const { suffix, option, unpack } of packings) {
    const entry = tree.resolveFile(path + suffix);
    if (entry === undefined) {
      if (tree.locate(path + suffix)?.kind === 'symlink') {
        request.warnings.push(
          `${path}${suffix} is a link that leads to no file: nowhere, or around in a loop`,
        );
      }
      continue;
    }
    if (option === undefined || config === undefined || config.has(option)) {
      plan.addFromTree(tree, path + suffix, entry);
    } else {
      const inBackground = async (): Promise<Buffer> => await unpack(tree.read(entry));
      plan.addFile(path, { expectedBytes: entry.sizeBytes, load: { inBackground } });
    }
    return true;
  }
  return false;
}

/** A module may name its firmware with `*` in the last part. */
function expand(tree: RootedTree, directory: string, pattern: string): string[] {
  const cut = pattern.lastIndexOf('/') + 1;
  const parts = pattern.slice(cut).split('*');
  const escaped = parts.map((part) => part.replaceAll(/[.+?^${}()|[\]\\]/g, '\\$&'));
  const expression = new RegExp(`^(${escaped.join('[^/]*')})(\\.xz|\\.zst)?$`);
  const names = tree.list(`${directory}/${pattern.slice(0, cut)}`);
  return [...new Set(names.flatMap((name) => expression.exec(name)?.[1] ?? []))].map(
    (name) => pattern.slice(0, cut) + name,
  );
}

function isPlainPath(name: string): boolean {
  return !name.startsWith('/') && !name.split('/').includes('..');
}
