import { Args, Flags } from '../cli/oclif.ts';
import { ImgbootCommand } from '../cli/base-command.ts';
import { table } from '../cli/table.ts';
import { ImgbootError } from '../errors.ts';
import { diagnose, type Diagnosis } from '../system/diagnosis.ts';
import { installPackages } from '../system/packages.ts';
import { capabilities, needs, type Capability } from '../system/requirements.ts';
import { chooseAccelerator } from '../vm/accelerator.ts';

const names = capabilities.map((name) => `  ${name.padEnd(13)}${needs[name].summary}`).join('\n');

export default class Doctor extends ImgbootCommand {
  static override summary = 'say what this host lacks, and install it';
  static override description = `CAPABILITY is any of:
${names}

Exit status: 1 where something that a named capability needs is missing (optional things never count); without a
name it is a report of all, and the status is 0.`;
  static override examples = [
    '<%= config.bin %> doctor',
    '<%= config.bin %> doctor qemu bootstrap',
    'sudo <%= config.bin %> doctor develop --install',
  ];
  static override strict = false;
  static override enableJsonFlag = true;
  static override args = {
    capability: Args.string({ description: 'what should work; everything by default' }),
  };
  static override flags = {
    install: Flags.boolean({ summary: 'install what is missing (root)' }),
  };

  async run(): Promise<Diagnosis> {
    const { argv, flags } = await this.parse(Doctor);
    const asked = (argv as string[]).map(capabilityNamed);
    let diagnosis = await this.diagnose(asked);
    if (flags.install && diagnosis.missingPackages.length > 0) {
      await this.install(diagnosis);
      diagnosis = await this.diagnose(asked);
    }
    if (!this.jsonEnabled()) this.print(diagnosis);
    if (asked.length > 0 && diagnosis.capabilities.some(({ ready }) => !ready)) process.exitCode = 1;
    return diagnosis;
  }

  private async diagnose(asked: readonly Capability[]): Promise<Diagnosis> {
    const { accelerator, reason } = await chooseAccelerator();
    const kvm = { present: accelerator === 'kvm', detail: reason };
    return diagnose(asked.length === 0 ? capabilities : asked, { kvm });
  }

  private async install({ packageManager, missingPackages }: Diagnosis): Promise<void> {
    if (packageManager === null) {
      throw new ImgbootError(
        'IMGBOOT_NO_PACKAGE_MANAGER',
        'this distribution has no package manager known to us',
        {
          hint: `install these, by whatever name they have here: ${missingPackages.join(' ')}`,
        },
      );
    }
    this.tell(`Installing ${missingPackages.join(' ')}`);
    await installPackages(packageManager, missingPackages, { progress: this.progress, signal: this.signal });
  }

  private print(diagnosis: Diagnosis): void {
    const rows = diagnosis.capabilities.map(({ name, ready, missing }) => [
      name,
      ready ? 'ready' : 'NOT READY',
      missing.join(', '),
    ]);
    this.log(table(['CAPABILITY', 'STATE', 'MISSING'], rows));
    const lacking = diagnosis.requirements.filter(({ present }) => !present);
    if (lacking.length > 0) {
      this.log('');
      for (const { name, optional, purpose, detail } of lacking) {
        this.log(`${name}: needed to ${purpose}${optional ? ' (optional)' : ''}: ${detail}`);
      }
    }
    if (diagnosis.installCommand !== null)
      this.log(`\nInstall what is missing with:\n  ${diagnosis.installCommand}`);
  }
}

function capabilityNamed(name: string): Capability {
  const found = capabilities.find((capability) => capability === name);
  if (found !== undefined) return found;
  throw new ImgbootError('IMGBOOT_USAGE', `${JSON.stringify(name)} is no capability`, {
    hint: `one of: ${capabilities.join(', ')}`,
  });
}
