import { existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ImgbootError, errorMessage } from '../errors.ts';
import type { Image } from '../store/image.ts';
import type { Store } from '../store/store.ts';
import { replaceFile } from '../system/durable.ts';
import { jobModule, runIsolated } from '../system/isolate.ts';
import type { OperationOptions } from '../system/progress.ts';
import { removeTree } from '../system/remove-tree.ts';
import { TemporaryDirectory } from '../system/temporary-directory.ts';
import { showName } from '../top-layer/show.ts';
import type { AdoptDockerfileJob, AdoptedIntoDockerfile } from './adopt-dockerfile.job.ts';
import type { Chosen } from './choose.ts';
import { viewOfRoot } from './diff-root.ts';
import { imageOfRoot } from './image-of-root.ts';
import { packageLines } from './package-lines.ts';

export interface AdoptDockerfileRequest extends OperationOptions {
  /** The build context: its Dockerfile is made, or goes on with what was adopted. */
  output: string;
  /** Packages by their files instead of by their names. */
  files: boolean;
  /** Packages in just the versions that they have. */
  pin: boolean;
  dryRun: boolean;
}

export interface AdoptedDockerfile {
  dockerfile: string;
  /** What was added to it. */
  lines: string[];
  notes: string[];
}

/**
 * Says chosen changes in a Dockerfile, with the files that it copies beside it. All or nothing.
 * @throws IMGBOOT_USAGE, IMGBOOT_UNSUPPORTED_NAME
 */
export async function adoptIntoDockerfile(
  store: Store,
  { drift, changes }: Chosen,
  { output, files, pin, dryRun, ...options }: AdoptDockerfileRequest,
): Promise<AdoptedDockerfile> {
  const context = resolve(output);
  const image = imageOfRoot(store, drift.root);
  const dockerfile = join(context, 'Dockerfile');
  const directory = freeName(context);
  const indexes = new Set(changes.map((change) => change.package).filter((one) => typeof one === 'number'));
  const packages = files ? [] : drift.packages.filter((_, index) => indexes.has(index));
  const left = files ? changes : changes.filter((change) => change.package === undefined);
  if (!dryRun) makeDirectory(context);
  await using scratch = await TemporaryDirectory.create();
  const job: AdoptDockerfileJob = {
    view: viewOfRoot(store, drift.root, scratch.path),
    wanted: new Set(left.map(({ path }) => path)),
    retyped: new Set(left.filter(({ differs }) => differs.includes('type')).map(({ path }) => path)),
    hasPackages: packages.some(({ kind }) => kind === 'added'),
    directory,
    output: dryRun ? undefined : join(context, directory),
  };
  try {
    const { lines, unsaid } = await runIsolated<AdoptDockerfileJob, AdoptedIntoDockerfile>(
      jobModule(import.meta.url, 'adopt-dockerfile.job'),
      job,
      options,
    );
    const all = asRoot(image, [...packageLines(packages, { pin }), ...lines]);
    const text = [`# What was changed on ${drift.root.name} (${drift.root.layer})`, ...all];
    if (!dryRun) {
      const before = existsSync(dockerfile)
        ? `${readFileSync(dockerfile, 'utf8').trimEnd()}\n\n`
        : `FROM ${drift.root.version?.reference ?? image.reference ?? image.id}\n\n`;
      const mode = (statSync(dockerfile, { throwIfNoEntry: false })?.mode ?? 0o644) & 0o777;
      replaceFile(dockerfile, `${before}${text.join('\n')}\n`, mode);
    }
    const names = unsaid.map((path) => `/${showName(path)}`).join(', ');
    return {
      dockerfile,
      lines: text,
      notes: names === '' ? [] : [`COPY brings no extended attributes, which these have: ${names}`],
    };
  } catch (error) {
    // Nobody else has that name.
    if (!dryRun) for (const made of [`${directory}.new`, directory]) removeTree(join(context, made));
    throw error;
  }
}

/** As root, where the image's commands are somebody else's. */
function asRoot(image: Image, lines: readonly string[]): string[] {
  const user = image.config.config?.User ?? '';
  return /^(?:|0|root)(?::.*)?$/.test(user) ? [...lines] : ['USER 0', ...lines, `USER ${user}`];
}

/** `adopted`, or `adopted-2` where that is there. */
function freeName(context: string): string {
  for (let number = 1; ; number += 1) {
    const name = number === 1 ? 'adopted' : `adopted-${number}`;
    if (!existsSync(join(context, name))) return name;
  }
}

/** @throws IMGBOOT_CANNOT_WRITE */
function makeDirectory(path: string): void {
  try {
    mkdirSync(path, { recursive: true });
  } catch (cause) {
    throw new ImgbootError('IMGBOOT_CANNOT_WRITE', `cannot make ${path}: ${errorMessage(cause)}`, {
      cause,
      hint: 'name a directory with --output',
    });
  }
}
