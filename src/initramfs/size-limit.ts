import { ImgbootError } from '../errors.ts';
import { byBytes } from '../system/rooted.ts';
import type { WrittenFile } from './archive-writer.ts';
import type { SelectedModules } from './module-selection.ts';

/** How many modules a message names. */
const SUGGESTIONS = 8;

/** @throws IMGBOOT_TOO_LARGE with what could be left out, and what that would save */
export function requireSize(request: {
  output: string;
  sizeBytes: number;
  maxBytes: number | undefined;
  selected: SelectedModules;
  files: readonly WrittenFile[];
}): void {
  const { output, sizeBytes, maxBytes } = request;
  if (maxBytes === undefined || sizeBytes <= maxBytes) return;
  const savings = omittable(request.selected, request.files)
    .slice(0, SUGGESTIONS)
    .map(({ module, packedBytes }) => `--omit ${module} (${megabytes(packedBytes)})`);
  throw new ImgbootError(
    'IMGBOOT_TOO_LARGE',
    `${output} would have ${megabytes(sizeBytes)}, and --max-size allows ${megabytes(maxBytes)}; nothing was written`,
    {
      hint:
        savings.length === 0
          ? 'choose --modules host or a higher --compress level'
          : `leave out what the machine does not need: ${savings.join(', ')}`,
    },
  );
}

/** The modules that nothing else in the archive needs, with their firmware, the largest first. */
function omittable(
  selected: SelectedModules,
  files: readonly WrittenFile[],
): { module: string; packedBytes: number }[] {
  const needed = new Set(selected.modules.flatMap(({ dependencies }) => dependencies));
  const bytes = new Map<string, number>();
  const add = (module: string, packedBytes: number): void => {
    bytes.set(module, (bytes.get(module) ?? 0) + packedBytes);
  };
  const moduleAt = new Map(
    selected.modules.map(({ path, name }) => [
      path.slice(path.lastIndexOf('/') + 1).replace(/\.ko.*$/, '.ko'),
      name,
    ]),
  );
  for (const { path, cause, packedBytes } of files) {
    const module = path.includes('/lib/modules/')
      ? moduleAt.get(path.slice(path.lastIndexOf('/') + 1))
      : undefined;
    if (module !== undefined) add(module, packedBytes);
    const owner = /^firmware of (\w+)/.exec(cause)?.[1];
    if (owner !== undefined) add(owner, packedBytes);
  }
  return [...bytes]
    .filter(([module]) => !needed.has(module))
    .map(([module, packedBytes]) => ({ module, packedBytes }))
    .sort((a, b) => b.packedBytes - a.packedBytes || byBytes(a.module, b.module));
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
