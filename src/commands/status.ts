import { readBootReport, type BootReport } from '../boot/boot-report.ts';
import { ImgbootCommand } from '../cli/base-command.ts';

export default class Status extends ImgbootCommand {
  static override summary = 'Show what this system was booted from, and how the boot went';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --json',
  ];
  static override enableJsonFlag = true;

  async run(): Promise<BootReport | null> {
    await this.parse(Status);
    const report = readBootReport();
    if (report === undefined)
      this.log('This system was not booted by imgboot: there is no /run/imgboot/boot.json.');
    else this.log(statusLines(report));
    return report ?? null;
  }
}

function statusLines(report: BootReport): string {
  const rows: [string, string | null | undefined][] = [
    [
      'Image',
      report.reference === null ? '(a plain root)' : `${report.reference} (${report.image?.slice(0, 19)})`,
    ],
    ['Root', `${report.root.device} (${report.root.fstype})`],
    [
      'Writable',
      report.writable &&
        `${report.writable.got}${report.writable.layer === null ? '' : `, ${report.writable.layer}`}`,
    ],
    [
      'Top layer',
      report.topLayer &&
        `${report.topLayer.files} files from ${report.topLayer.device} ${report.topLayer.path ?? ''}`,
    ],
    ['Init', report.init],
    ['Initramfs', report.steps.map((step) => `${step.name} ${step.endMs - step.startMs} ms`).join(', ')],
    ...report.fallbacks.map((fallback): [string, string] => ['Fallback', fallback]),
  ];
  return rows
    .flatMap(([name, value]) =>
      value === null || value === undefined ? [] : `${`${name}:`.padEnd(11)}${value}`,
    )
    .join('\n');
}
