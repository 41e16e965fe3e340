import { Flags } from '../../cli/oclif.ts';
import { ImgbootCommand, storeFlag } from '../../cli/base-command.ts';
import { versionTable } from '../../cli/version-table.ts';
import { deploymentStatus, type VersionStatus } from '../../deploy/status.ts';
import { Store } from '../../store/store.ts';

export default class DeploymentLs extends ImgbootCommand {
  static override summary = 'List the versions of what is deployed';
  static override examples = ['<%= config.bin %> <%= command.id %>'];
  static override hiddenAliases = ['deployment:list'];
  static override enableJsonFlag = true;
  static override flags = {
    ...storeFlag,
    quiet: Flags.boolean({ char: 'q', summary: 'print versions only' }),
  };

  async run(): Promise<VersionStatus[]> {
    const { flags } = await this.parse(DeploymentLs);
    const { deployments } = deploymentStatus(Store.open(flags.store));
    if (flags.quiet) for (const { id } of deployments) this.log(id);
    else this.log(versionTable(deployments));
    return deployments;
  }
}
