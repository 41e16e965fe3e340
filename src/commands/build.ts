import { writeFileSync } from 'node:fs';
import { Args, Flags } from '../cli/oclif.ts';
import { checkImage } from '../boot/check-image.ts';
import { buildImage } from '../build/build-image.ts';
import { buildProgress } from '../cli/build-progress.ts';
import { readBuildArgs, readLabels, readSecrets } from '../cli/build-options.ts';
import { ImgbootCommand, requireRoot, storeFlag } from '../cli/base-command.ts';
import { bootFindingLines } from '../cli/boot-findings.ts';
import { driverFlag, registryFlags, registryOptions } from '../cli/flags.ts';
import { ImgbootError } from '../errors.ts';
import { Store } from '../store/store.ts';

export default class Build extends ImgbootCommand {
  static override summary = 'Build an image from a Dockerfile, a layer an instruction';
  static override description =
    'CONTEXT is a directory, or - for a tar of one on standard input; with -f -, standard input is the Dockerfile.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> -t desktop .',
    '<%= config.bin %> <%= command.id %> -t desktop -f Dockerfile.desktop --build-arg SUITE=trixie --check-boot .',
  ];
  static override args = { context: Args.string({ default: '.', description: 'what COPY and ADD read' }) };
  static override flags = {
    ...storeFlag,
    ...driverFlag,
    ...registryFlags,
    tag: Flags.string({
      char: 't',
      summary: 'a name for the image; may be given again',
      multiple: true,
      multipleNonGreedy: true,
      default: [],
    }),
    file: Flags.string({ char: 'f', summary: 'the Dockerfile' }),
    target: Flags.string({ summary: 'the stage to build' }),
    'build-arg': Flags.string({
      summary: 'a value for an ARG',
      helpValue: 'NAME[=VALUE]',
      multiple: true,
      multipleNonGreedy: true,
      default: [],
    }),
    label: Flags.string({
      summary: 'a label for the image',
      helpValue: 'NAME=VALUE',
      multiple: true,
      multipleNonGreedy: true,
      default: [],
    }),
    secret: Flags.string({
      summary: 'a secret for RUN --mount=type=secret',
      helpValue: 'id=ID[,src=FILE|env=NAME]',
      multiple: true,
      multipleNonGreedy: true,
      default: [],
    }),
    network: Flags.option({ options: ['default', 'none', 'host'] as const })({
      summary: "the network of RUN; default is the host's",
      default: 'default',
    }),
    platform: Flags.string({
      summary: 'the platform of base images that are pulled',
      helpValue: 'OS/ARCH[/VARIANT]',
    }),
    'no-cache': Flags.boolean({ summary: 'make every layer anew' }),
    pull: Flags.boolean({ summary: 'pull base images even where the store has them' }),
    squash: Flags.boolean({ summary: 'make one layer of all that is added to the base image' }),
    iidfile: Flags.string({ summary: 'a file for the image ID' }),
    progress: Flags.option({ options: ['plain', 'tty', 'quiet'] as const })({
      summary: 'every line of output, steps only (the default on a terminal), or nothing',
    }),
    quiet: Flags.boolean({ char: 'q', summary: 'print the image ID only' }),
    'on-error': Flags.option({ options: ['fail', 'shell'] as const })({
      summary: 'shell enters the step that failed',
      default: 'fail',
    }),
    'check-boot': Flags.boolean({ summary: 'say whether the image boots, and exit with 1 when it does not' }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Build);
    requireRoot('build');
    const kind = flags.quiet ? 'quiet' : (flags.progress ?? 'tty');
    const store = Store.openOrCreate(flags.store, flags.driver);
    const image = await buildImage(store, {
      context: contextSource(args.context, flags.file),
      file: flags.file === '-' ? undefined : flags.file,
      references: flags.tag,
      target: flags.target,
      buildArgs: readBuildArgs(flags['build-arg']),
      labels: readLabels(flags.label),
      secrets: readSecrets(flags.secret),
      network: flags.network,
      platform: flags.platform,
      useCache: !flags['no-cache'],
      pull: flags.pull,
      squash: flags.squash,
      onError: flags['on-error'],
      registry: registryOptions(flags),
      ...buildProgress(kind, { tell: (line) => this.tell(line), progress: this.progress }),
      signal: this.signal,
    });
    if (flags.iidfile !== undefined) writeFileSync(flags.iidfile, image.id);
    this.log(image.id);
    if (flags['check-boot']) await this.#checkBoot(store, image.reference ?? image.id);
  }

  async #checkBoot(store: Store, reference: string): Promise<void> {
    const findings = await checkImage(store, { reference, signal: this.signal });
    for (const line of bootFindingLines(reference, findings)) this.tell(line);
    if (findings.some(({ level }) => level === 'error')) process.exitCode = 1;
  }
}

function contextSource(
  context: string,
  file: string | undefined,
): Parameters<typeof buildImage>[1]['context'] {
  if (context !== '-') {
    if (file !== '-') return { kind: 'directory', path: context };
    throw new ImgbootError('IMGBOOT_USAGE', 'a Dockerfile on standard input comes without a context', {
      hint: 'imgboot build - < Dockerfile',
    });
  }
  return { kind: file === '-' ? 'dockerfile' : 'stdin', stream: process.stdin };
}
