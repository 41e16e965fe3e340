import { writeFile } from 'node:fs/promises';
import { Args, Flags } from '../../cli/oclif.ts';
import { comparePhases, type PhaseComparison } from '../../boot/compare-phases.ts';
import {
  describeBoot,
  describeReport,
  describeRunningBoot,
  type DescribedBoot,
} from '../../boot/describe-boot.ts';
import { readDiskReport } from '../../boot/disk-report.ts';
import { timelineSvg } from '../../boot/timeline-svg.ts';
import type { Phase } from '../../boot/timeline.ts';
import { bars } from '../../cli/bars.ts';
import { bootTitle } from '../../cli/boot-table.ts';
import { phaseTable } from '../../cli/phase-table.ts';
import { ImgbootCommand, requireRoot, storeFlag } from '../../cli/base-command.ts';
import { ImgbootError } from '../../errors.ts';

export default class BootsShow extends ImgbootCommand {
  static override summary = 'Show where the time of a boot went, or of two beside one another';
  static override description =
    'Of the running system; of a boot that imgboot boots lists, by its number; of the last boot of a disk that imgboot qemu kept; or of a report: /run/imgboot/boot.json of another machine. What systemd knows of the firmware and of its own start is added for the running system.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> 12 --against 11',
    '<%= config.bin %> <%= command.id %> boot.json --svg boot.svg',
    '<%= config.bin %> <%= command.id %> --disk disk.img',
  ];
  static override enableJsonFlag = true;
  static override args = {
    boot: Args.string({ description: 'the number of a boot, or the file of a report; the running system' }),
  };
  static override flags = {
    ...storeFlag,
    against: Flags.string({ summary: 'another boot, to compare with it', helpValue: 'BOOT' }),
    svg: Flags.string({ summary: 'draw it into this file', helpValue: 'FILE' }),
    disk: Flags.file({ summary: 'the disk whose last boot is meant', exists: true, helpValue: 'DISK' }),
  };

  async run(): Promise<Phase[] | PhaseComparison[]> {
    const { args, flags } = await this.parse(BootsShow);
    if (args.boot !== undefined && flags.disk !== undefined)
      throw new ImgbootError('IMGBOOT_USAGE', 'give a boot or a disk, not both');
    const boot =
      flags.disk === undefined ? await this.#boot(args.boot, flags.store) : await this.#onDisk(flags.disk);
    const other = flags.against === undefined ? undefined : await this.#boot(flags.against, flags.store);
    const boots = (other === undefined ? [boot] : [boot, other]).map((one) => ({
      title: bootTitle(one),
      phases: one.phases,
    }));
    if (flags.svg !== undefined) await writeFile(flags.svg, timelineSvg(boots));
    if (other === undefined) {
      this.log(boots[0]!.title);
      this.log(bars(boot.phases));
      return boot.phases;
    }
    const comparison = comparePhases(boot.phases, other.phases);
    this.log(phaseTable(boots[0]!.title, boots[1]!.title, comparison));
    return comparison;
  }

  async #boot(text: string | undefined, store: string): Promise<DescribedBoot> {
    return text === undefined ? await describeRunningBoot() : await describeBoot(store, text);
  }

  async #onDisk(disk: string): Promise<DescribedBoot> {
    requireRoot('looking into a disk');
    return describeReport(await readDiskReport(disk, { progress: this.progress, signal: this.signal }));
  }
}
