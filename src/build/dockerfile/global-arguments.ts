import { locate } from './dockerfile-error.ts';
import { expand } from './expand.ts';
import type { Dockerfile } from './instruction.ts';
import { formatPlatform, hostPlatform, type Platform } from './platform.ts';

export interface BuildArguments {
  /** `--build-arg`. */
  buildArgs?: Readonly<Record<string, string>> | undefined;
  /** `--platform`: what is built for; the host's where not said. */
  platform?: Platform | undefined;
  /** `--target`, which TARGETSTAGE tells. */
  target?: string | undefined;
}

/** What {@link StageScope} passes to RUN without an ARG, and keeps out of history and cache key. */
export const proxyArguments = ['HTTP_PROXY', 'HTTPS_PROXY', 'FTP_PROXY', 'NO_PROXY', 'ALL_PROXY'];

/**
 * The variables of FROM: the platforms' and the ARGs before the first FROM. A stage sees one of them when it declares
 * an ARG of that name.
 * @throws IMGBOOT_DOCKERFILE for a default that cannot be expanded
 */
export function globalArguments(dockerfile: Dockerfile, options: BuildArguments = {}): Map<string, string> {
  const buildArgs = new Map(Object.entries(options.buildArgs ?? {}));
  const globals = new Map<string, string>();
  for (const [name, value] of platformArguments(options)) globals.set(name, buildArgs.get(name) ?? value);
  for (const instruction of dockerfile.globalArgs) {
    for (const pair of instruction.pairs) {
      const text = pair.default;
      const value =
        buildArgs.get(pair.name) ??
        (text && locate(instruction, () => expand(text, globals, { escape: dockerfile.escape })));
      if (value !== undefined) globals.set(pair.name, value);
    }
  }
  return globals;
}

/** The names given with `--build-arg` that no ARG asks for: the user should hear of them. */
export function unusedBuildArgs(
  dockerfile: Dockerfile,
  buildArgs: Readonly<Record<string, string>>,
): string[] {
  const instructions = [
    ...dockerfile.globalArgs,
    ...dockerfile.stages.flatMap((stage) => stage.instructions),
  ];
  const declared = new Set(
    instructions
      .flatMap((instruction) => (instruction.kind === 'ARG' ? instruction.pairs : []))
      .map(({ name }) => name),
  );
  const predefined = [...proxyArguments, ...platformArguments({}).map(([name]) => name), 'SOURCE_DATE_EPOCH'];
  return Object.keys(buildArgs).filter(
    (name) => !declared.has(name) && !predefined.includes(name) && !predefined.includes(name.toUpperCase()),
  );
}

function platformArguments({ platform, target }: BuildArguments): [name: string, value: string][] {
  const build = hostPlatform();
  const wanted = platform ?? build;
  return [
    ['BUILDPLATFORM', formatPlatform(build)],
    ['BUILDOS', build.os],
    ['BUILDARCH', build.architecture],
    ['BUILDVARIANT', build.variant ?? ''],
    ['TARGETPLATFORM', formatPlatform(wanted)],
    ['TARGETOS', wanted.os],
    ['TARGETARCH', wanted.architecture],
    ['TARGETVARIANT', wanted.variant ?? ''],
    ['TARGETSTAGE', target ?? 'default'],
  ];
}
