import { statSync } from 'node:fs';
import { join, posix } from 'node:path';
import { resolveGroup, resolveUser } from '../container/user.ts';
import { ImgbootError } from '../errors.ts';
import { digestOf } from '../image/digest.ts';
import { canonicalPath } from '../system/canonical-path.ts';
import { RootedTree } from '../system/rooted.ts';
import { openArchive, unpackArchive } from './add-archive.ts';
import { applyCopy } from './apply-copy.ts';
import { runConfig } from './configure-stage.ts';
import { digestSources, planCopy, type CopyItem, type CopySource, type CopyTarget } from './copy-plan.ts';
import { download } from './download.ts';
import { parseIgnore } from './dockerfile/ignore.ts';
import type { CopyInstruction } from './dockerfile/instruction.ts';
import type { StagePlan } from './dockerfile/plan-stages.ts';
import type { StageScope } from './dockerfile/stage-scope.ts';
import { parseModeChange } from './file-mode.ts';
import { findSources } from './find-sources.ts';
import { CacheMiss, type LayerStep } from './layer-factory.ts';
import type { MergedView } from './merged-view.ts';
import type { StageContext } from './stage-context.ts';
import type { StageState } from './stage-state.ts';

/** A file that is not in a tree: a heredoc, or a download. */
interface LooseFile {
  name: string;
  bytes: Buffer;
  mode: number;
  mtimeSeconds: bigint;
}

/** COPY and ADD. What they would read is found and hashed first; only a miss of the cache mounts anything. */
export class CopyStep implements LayerStep {
  readonly identity: unknown;
  readonly #instruction: CopyInstruction;
  readonly #destination: string;
  readonly #sources: CopySource[];
  readonly #loose: LooseFile[];
  readonly #options: {
    chown: string | undefined;
    chmod: string | undefined;
    excluded: CopyTarget['excluded'];
  };

  private constructor(parts: {
    instruction: CopyInstruction;
    destination: string;
    sources: CopySource[];
    loose: LooseFile[];
    options: CopyStepOptions;
    exclude: readonly string[];
  }) {
    this.#instruction = parts.instruction;
    this.#destination = parts.destination;
    this.#sources = parts.sources;
    this.#loose = parts.loose;
    this.#options = parts.options;
    const { chown, chmod } = parts.options;
    this.identity = [
      parts.destination,
      chown ?? null,
      chmod ?? null,
      parts.instruction.parents,
      parts.instruction.unpack ?? null,
      parts.exclude,
      digestSources(parts.sources, parts.options.excluded),
      parts.loose.map(({ name, bytes, mode }) => [name, mode, digestOf(bytes)]),
    ];
  }

  static async prepare(
    context: StageContext,
    {
      instruction,
      scope,
      state,
      plan,
    }: { instruction: CopyInstruction; scope: StageScope; state: StageState; plan: StagePlan },
  ): Promise<CopyStep> {
    const expand = (text: string): string => scope.expand(text, instruction);
    const source =
      instruction.from === undefined
        ? context.files
        : context.views.source(await context.findState(plan.sources.get(instruction.from)!));
    const patterns = instruction.sources.map(expand);
    const remote = instruction.kind === 'ADD' ? patterns.filter(isUrl) : [];
    checkAdd(instruction, patterns);
    if (remote.length > 0 && context.job.cachedOnly) throw new CacheMiss('a file is to be downloaded');
    const where = instruction.from === undefined ? 'the build context' : instruction.from;
    const exclude = instruction.exclude.map(expand);
    const ignore = exclude.length === 0 ? undefined : parseIgnore(exclude.join('\n'), '--exclude');
    const checksum = instruction.checksum === undefined ? undefined : expand(instruction.checksum);
    const loose = [
      ...(await Promise.all(remote.map((url) => download(url, { checksum, progress: context.progress })))),
      ...instruction.files.map(({ name, content, expand: expands }) => ({
        name,
        bytes: Buffer.from(expands ? scope.expandHeredoc(content, instruction) : content),
        mode: 0o644,
        mtimeSeconds: 0n,
      })),
    ];
    const written = expand(instruction.destination);
    const directory = runConfig(state).WorkingDir;
    const absolute = posix.resolve(directory === undefined || directory === '' ? '/' : directory, written);
    const isDirectory = /(?:^|\/)\.{0,2}$/.test(written);
    return new CopyStep({
      instruction,
      destination: isDirectory && absolute !== '/' ? `${absolute}/` : absolute,
      sources: findSources(
        source,
        patterns.filter((pattern) => !remote.includes(pattern)),
        { where, parents: instruction.parents },
      ),
      loose,
      options: {
        chown: instruction.chown === undefined ? undefined : expand(instruction.chown),
        chmod: instruction.chmod === undefined ? undefined : expand(instruction.chmod),
        excluded: (path, { path: from }) =>
          ignore?.ignores(instruction.parents ? path : belowSource(path, from)) === true,
      },
      exclude,
    });
  }

  mountPoints(): [] {
    return [];
  }

  async change(view: MergedView, scratch: string): Promise<void> {
    const root = view.root;
    const destination = canonicalPath(root, this.#destination) + (this.#destination.endsWith('/') ? '/' : '');
    const target: CopyTarget = {
      destination,
      isDirectory: statSync(join(root, destination), { throwIfNoEntry: false })?.isDirectory() === true,
      owner: this.#options.chown === undefined ? undefined : owner(root, this.#options.chown),
      chmod: this.#options.chmod === undefined ? undefined : parseModeChange(this.#options.chmod),
      parents: this.#instruction.parents,
      excluded: this.#options.excluded,
    };
    const archives = new Map<CopySource, string>();
    if (this.#instruction.kind === 'ADD' && this.#instruction.unpack !== false) {
      for (const one of this.#sources) {
        const tar = await openArchive(one.source, one.file, scratch);
        if (tar !== undefined) archives.set(one, tar);
      }
    }
    const plain = this.#sources.filter((one) => !archives.has(one));
    const several = this.#sources.length + this.#loose.length > 1;
    applyCopy(
      root,
      [...planCopy(plain, target, several), ...this.#looseItems(target, several)],
      target.owner,
    );
    for (const tar of archives.values()) unpackArchive(root, { tar, target });
  }

  #looseItems(target: CopyTarget, several: boolean): CopyItem[] {
    const intoDirectory = several || target.destination.endsWith('/') || target.isDirectory;
    if (several && this.#loose.length > 0 && !target.destination.endsWith('/') && !target.isDirectory) {
      throw new ImgbootError(
        'IMGBOOT_DOCKERFILE',
        `several files cannot be copied to ${target.destination}, which is no directory`,
        { hint: 'put a slash at the end of the destination' },
      );
    }
    return this.#loose.map(({ name, bytes, mode, mtimeSeconds }) => ({
      entry: {
        type: 'file',
        path: intoDirectory ? `${target.destination.replace(/\/+$/, '')}/${name}` : target.destination,
        linkTarget: '',
        mode: target.chmod === undefined ? mode : target.chmod(mode, false),
        uid: target.owner?.uid ?? 0,
        gid: target.owner?.gid ?? 0,
        mtime: { seconds: mtimeSeconds, nanoseconds: 0 },
        size: bytes.length,
        device: { major: 0, minor: 0 },
        xattrs: new Map(),
        sparse: undefined,
      },
      content: { kind: 'bytes', bytes },
    }));
  }
}

interface CopyStepOptions {
  chown: string | undefined;
  chmod: string | undefined;
  excluded: CopyTarget['excluded'];
}

/** --exclude has paths from the directory that is copied, and the name alone of a file that is. */
function belowSource(path: string, source: string): string {
  if (path === source) return path.slice(path.lastIndexOf('/') + 1);
  return source === '' ? path : path.slice(source.length + 1);
}

/** What ADD cannot do is said before anything is done. @throws IMGBOOT_DOCKERFILE */
function checkAdd(instruction: CopyInstruction, sources: readonly string[]): void {
  if (instruction.kind !== 'ADD') return;
  const repository = sources.find((source) =>
    /^(?:git@|ssh:\/\/|git:\/\/|https?:\/\/[^#?]*\.git(?:[#?]|$))/i.test(source),
  );
  if (repository !== undefined || instruction.keepGitDir === true) {
    throw new ImgbootError(
      'IMGBOOT_DOCKERFILE',
      repository === undefined
        ? '--keep-git-dir is not supported: ADD does not clone repositories'
        : `ADD does not clone repositories: ${repository}`,
      { hint: 'clone it into the context, or in a RUN' },
    );
  }
  if (instruction.checksum !== undefined && (sources.length !== 1 || !sources.every(isUrl))) {
    throw new ImgbootError('IMGBOOT_DOCKERFILE', '--checksum is for one URL', {
      hint: 'what the context has is in the cache key by its content',
    });
  }
}

function isUrl(source: string): boolean {
  return /^https?:\/\//i.test(source);
}

/** `--chown=USER[:GROUP]`: a user without a group stands for a group of the same name or number. */
function owner(root: string, text: string): { uid: number; gid: number } {
  const tree = new RootedTree(root);
  const [user = '', group] = text.split(':', 2);
  const { uid, gid } = resolveUser(tree, user);
  if (group !== undefined && group !== '') return { uid, gid: resolveGroup(tree, group) };
  return { uid, gid: /^[0-9]+$/.test(user) ? Number(user) : gid };
}
