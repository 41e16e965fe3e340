import { writeFile } from 'node:fs/promises';
import { Args, Flags } from '@oclif/core';
import { requireBootReport, type BootReport } from '../../boot/boot-report.ts';
import { timelineSvg } from '../../boot/timeline-svg.ts';
import { bootPhases, readManagerTimes, type Phase } from '../../boot/timeline.ts';
import { ImgbootCommand } from '../../cli/base-command.ts';
import { bars } from '../../cli/bars.ts';

export default class BootsShow extends ImgbootCommand {
  static override summary = 'Show where the time of a boot went';
  static override description =
    'Of the running system, or of a report that was kept: /run/imgboot/boot.json of another machine. What systemd knows of the firmware and of its own start is added for the running system.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> boot.json --svg boot.svg',
  ];
  static override enableJsonFlag = true;
  static override args = { report: Args.file({ description: 'a boot report', exists: true }) };
  static override flags = { svg: Flags.string({ summary: 'draw it into this file', helpValue: 'FILE' }) };

  async run(): Promise<Phase[]> {
    const { args, flags } = await this.parse(BootsShow);
    const report = requireBootReport(args.report);
    const phases = bootPhases(report, args.report === undefined ? await readManagerTimes() : undefined);
    this.log(title(report));
    this.log(bars(phases));
    if (flags.svg !== undefined) await writeFile(flags.svg, timelineSvg(title(report), phases));
    return phases;
  }
}

function title({ reference, root, writable }: BootReport): string {
  const kind = writable === undefined ? '' : `, ${writable.got}`;
  return `${reference ?? 'a plain root'} from ${root.device} (${root.fstype})${kind}`;
}
