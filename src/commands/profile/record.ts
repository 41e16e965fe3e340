import { release } from 'node:os';
import { Flags } from '../../cli/oclif.ts';
import { ImgbootCommand } from '../../cli/base-command.ts';
import { profileText, type MachineProfile } from '../../initramfs/machine-profile.ts';
import { recordFirmware, recordMachine } from '../../initramfs/record-machine.ts';
import { AsideFile } from '../../system/aside.ts';

export default class ProfileRecord extends ImgbootCommand {
  static override summary =
    "Record this machine's hardware and what its root lies on, for an initramfs made elsewhere";
  static override description =
    'The profile holds kinds of devices (modaliases) with their drivers, names of firmware, and the types of what the root lies on; no serial numbers, no addresses, no UUIDs of disks.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> -o kiosk.json',
    '<%= config.bin %> <%= command.id %> | ssh build "cat > kiosk.json"',
  ];
  static override enableJsonFlag = true;
  static override flags = {
    output: Flags.string({ char: 'o', summary: 'the file to write; standard output by default' }),
  };

  async run(): Promise<MachineProfile> {
    const { flags } = await this.parse(ProfileRecord);
    const profile = await recordFirmware(recordMachine(), release());
    const text = profileText(profile);
    if (flags.output === undefined) this.log(text.trimEnd());
    else {
      using out = AsideFile.create(flags.output);
      out.write(Buffer.from(text));
      out.publish();
      this.log(`${flags.output}: ${describe(profile)}`);
    }
    return profile;
  }
}

function describe({ modaliases, firmware, root }: MachineProfile): string {
  const stack = [...root.filesystems, ...root.layers].join(' on ') || 'nothing that it knows';
  return `${Object.keys(modaliases).length} kinds of devices, ${firmware.length} firmware files, the root on ${stack}`;
}
