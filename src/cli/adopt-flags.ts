import { findTopLayer } from '../deploy/top-layer.ts';
import type { AdoptTarget } from '../drift/adopt-changes.ts';
import { ImgbootError } from '../errors.ts';
import { Flags } from './oclif.ts';
import { topLayerFlag } from './top-layer-flags.ts';

/** What is to be adopted, and where. */
export const adoptFlags = {
  into: Flags.option({ options: ['top-layer', 'dockerfile', 'layer'] as const })({
    summary: "this machine's own files, a build context, or a layer of a new image",
    required: true,
  }),
  deployment: Flags.string({
    summary: 'a deployment or a version of it, or an image that was booted without; the system that runs',
    helpValue: 'NAME',
  }),
  all: Flags.boolean({ char: 'a', summary: 'all that imgboot deployment diff shows' }),
  package: Flags.string({
    summary: 'a package that came or went; may be given again',
    helpValue: 'NAME',
    multiple: true,
    multipleNonGreedy: true,
    default: [],
  }),
  ...topLayerFlag,
  output: Flags.string({
    char: 'o',
    summary: 'the build context, whose Dockerfile is made or goes on',
    helpValue: 'DIR',
  }),
  files: Flags.boolean({ summary: 'in a Dockerfile, packages by their files' }),
  pin: Flags.boolean({ summary: 'in a Dockerfile, packages in just the versions that they have here' }),
  tag: Flags.string({ char: 't', summary: "the new image's name" }),
  'dry-run': Flags.boolean({ char: 'n', summary: 'only say what would be done' }),
};

interface AdoptFlagValues {
  into: AdoptTarget['into'];
  'top-layer': string | undefined;
  output: string | undefined;
  files: boolean;
  pin: boolean;
  tag: string | undefined;
}

/** The domain's names for these flags. @throws IMGBOOT_USAGE */
export function adoptTarget(flags: AdoptFlagValues): AdoptTarget {
  const { into, output, files, pin, tag } = flags;
  const given = {
    'top-layer': flags['top-layer'],
    dockerfile: output ?? (files || pin || undefined),
    layer: tag,
  };
  const wrong = (['dockerfile', 'layer'] as const).find((kind) => kind !== into && given[kind] !== undefined);
  if (wrong !== undefined) {
    const what = wrong === 'layer' ? '--tag' : '--output, --files and --pin';
    throw new ImgbootError('IMGBOOT_USAGE', `${what} say nothing of a ${into}`, {
      hint: `write --into ${wrong}`,
    });
  }
  if (into === 'top-layer') return { into, place: findTopLayer(flags['top-layer']) };
  if (into === 'layer') return { into, reference: tag };
  if (output !== undefined) return { into, output, files, pin };
  throw new ImgbootError('IMGBOOT_USAGE', 'a Dockerfile needs a place', {
    hint: 'name its directory with --output',
  });
}
