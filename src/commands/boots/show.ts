import { writeFile } from 'node:fs/promises';
import { Args, Flags } from '../../cli/oclif.ts';
import { requireBootReport, type BootReport } from '../../boot/boot-report.ts';
import { readDiskReport } from '../../boot/disk-report.ts';
import { timelineSvg } from '../../boot/timeline-svg.ts';
import { bootPhases, readManagerTimes, type Phase } from '../../boot/timeline.ts';
import { bars } from '../../cli/bars.ts';
import { ImgbootCommand, requireRoot } from '../../cli/base-command.ts';
import { ImgbootError } from '../../errors.ts';

export default class BootsShow extends ImgbootCommand {
  static override summary = 'Show where the time of a boot went';
  static override description =
    'Of the running system, of the last boot of a disk that imgboot qemu kept, or of a report: /run/imgboot/boot.json of another machine. What systemd knows of the firmware and of its own start is added for the running system.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> boot.json --svg boot.svg',
    '<%= config.bin %> <%= command.id %> --disk disk.img',
  ];
  static override enableJsonFlag = true;
  static override args = { report: Args.file({ description: 'a boot report', exists: true }) };
  static override flags = {
    svg: Flags.string({ summary: 'draw it into this file', helpValue: 'FILE' }),
    disk: Flags.file({ summary: 'the disk whose last boot is meant', exists: true, helpValue: 'DISK' }),
  };

  async run(): Promise<Phase[]> {
    const { args, flags } = await this.parse(BootsShow);
    if (args.report !== undefined && flags.disk !== undefined)
      throw new ImgbootError('IMGBOOT_USAGE', 'give a report or a disk, not both');
    const report =
      flags.disk === undefined ? requireBootReport(args.report) : await this.#diskReport(flags.disk);
    const isRunning = args.report === undefined && flags.disk === undefined;
    const phases = bootPhases(report, isRunning ? await readManagerTimes() : undefined);
    this.log(title(report));
    this.log(bars(phases));
    if (flags.svg !== undefined) await writeFile(flags.svg, timelineSvg(title(report), phases));
    return phases;
  }

  async #diskReport(disk: string): Promise<BootReport> {
    requireRoot('looking into a disk');
    return await readDiskReport(disk, { progress: this.progress, signal: this.signal });
  }
}

function title({ reference, root, writable }: BootReport): string {
  const kind = writable === undefined ? '' : `, ${writable.got}`;
  return `${reference ?? 'a plain root'} from ${root.device} (${root.fstype})${kind}`;
}
