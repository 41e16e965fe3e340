import { Args, Flags } from '../cli/oclif.ts';
import { diskFilesystems } from '../boot/disk.ts';
import { ImgbootCommand, requireRoot, storeFlag } from '../cli/base-command.ts';
import { storeWithImage } from '../cli/store-with-image.ts';
import { parseSize } from '../cli/size.ts';
import { describeStep, describeTrial } from '../cli/trial-report.ts';
import { readTrial } from '../trial/read-trial.ts';
import type { StepReport } from '../trial/run-steps.ts';
import { runInContainer, runInMachine, type TrialReport } from '../trial/run-trial.ts';
import { chooseAccelerator } from '../vm/accelerator.ts';

const places = ['container', 'vm'] as const;

export default class Test extends ImgbootCommand {
  static override summary = 'Carry out a test file on an image, in a container or in a virtual machine';
  static override description =
    'The file (YAML or JSON, docs/test.md) is a list of steps: what to run, what to expect of it, and within how long. The same file is for both; neither has a network. The first step that is not as expected ends the test, with what it printed and the last lines of the console, and the exit status is 1.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> desktop desktop.test.yaml',
    '<%= config.bin %> <%= command.id %> desktop desktop.test.yaml --in vm --top-layer ./mine',
  ];
  static override enableJsonFlag = true;
  static override args = {
    image: Args.string({ required: true, description: 'an image of the store' }),
    file: Args.string({ required: true, description: 'the test file' }),
  };
  static override flags = {
    ...storeFlag,
    in: Flags.option({ options: places })({
      summary: 'where it is carried out',
      default: 'container' as const,
    }),
    'top-layer': Flags.directory({ summary: "a directory with a machine's own files", exists: true }),
    timeout: Flags.integer({ summary: 'seconds that the system has to start', default: 300, min: 1 }),
    fs: Flags.option({ options: diskFilesystems })({
      summary: "the file system of the virtual machine's disk",
      default: 'btrfs' as const,
      helpGroup: 'VM',
    }),
    memory: Flags.string({ char: 'm', summary: 'its memory', default: '1G', helpGroup: 'VM' }),
    cpus: Flags.integer({ summary: 'its processors', default: 1, min: 1, helpGroup: 'VM' }),
    kver: Flags.string({ summary: 'the kernel version, where the image has several', helpGroup: 'VM' }),
  };

  async run(): Promise<TrialReport> {
    const { args, flags } = await this.parse(Test);
    const trial = readTrial(args.file);
    const memoryBytes = parseSize(flags.memory);
    requireRoot('test');
    const taking = { progress: this.progress, signal: this.signal };
    const { store, reference } = await storeWithImage(flags.store, args.image, taking);
    const topLayer = flags['top-layer'];
    const options = {
      bootMs: flags.timeout * 1000,
      onStep: (step: StepReport) => this.log(describeStep(step)),
      progress: this.progress,
      signal: this.signal,
    };
    let report: TrialReport;
    if (flags.in === 'container') {
      const onWarning = (line: string): void => this.tell(line);
      report = await runInContainer(store, trial, {
        ...options,
        request: { reference, topLayer, onWarning },
      });
    } else {
      const { accelerator, reason } = await chooseAccelerator();
      this.tell(`booting with ${accelerator}: ${reason}`);
      report = await runInMachine(store, trial, {
        ...options,
        request: {
          reference,
          topLayer,
          kver: flags.kver,
          filesystem: flags.fs,
          diskBytes: undefined,
          writable: 'ephemeral',
        },
        machine: { accelerator, memoryBytes, cpus: flags.cpus },
      });
    }
    this.log(describeTrial(report));
    if (!report.ok) process.exitCode = 1;
    return report;
  }
}
