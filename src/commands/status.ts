import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { readBootReport, type BootReport } from '../boot/boot-report.ts';
import { ImgbootCommand, storeFlag } from '../cli/base-command.ts';
import { humanSize } from '../cli/table.ts';
import { versionTable } from '../cli/version-table.ts';
import { deploymentStatus, type DeploymentStatus } from '../deploy/status.ts';
import { Store } from '../store/store.ts';

type Status = Partial<DeploymentStatus> & Pick<DeploymentStatus, 'report'>;

export default class StatusCommand extends ImgbootCommand {
  static override summary = 'Show what is deployed, what this system was booted from, and how the boot went';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --json',
  ];
  static override enableJsonFlag = true;
  static override flags = { ...storeFlag };

  async run(): Promise<Status> {
    const { flags } = await this.parse(StatusCommand);
    // A system that another store was booted from may have none, or one that only root may see.
    const isThere = existsSync(join(flags.store, 'store.json'));
    const status: Status = isThere
      ? deploymentStatus(Store.open(flags.store))
      : { report: readBootReport() ?? null };
    if (status.report === null)
      this.log('This system was not booted by imgboot: there is no /run/imgboot/boot.json.');
    else this.log(reportLines(status.report));
    if (status.deployments !== undefined && status.deployments.length > 0) {
      this.log('');
      this.log(versionTable(status.deployments));
      this.log(
        `\nBooted next: ${status.default}; rollback goes to ${status.previous ?? 'nothing'}; ${humanSize(status.freeBytes!)} free.`,
      );
    }
    return status;
  }
}

function reportLines(report: BootReport): string {
  const rows: [string, string | null | undefined][] = [
    ['Deployment', report.deployment?.got],
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
      value === null || value === undefined ? [] : `${`${name}:`.padEnd(12)}${value}`,
    )
    .join('\n');
}
