import { Args, Flags } from '../../cli/oclif.ts';
import { ImgbootCommand } from '../../cli/base-command.ts';
import {
  joinProfiles,
  profileText,
  readProfile,
  type MachineProfile,
} from '../../initramfs/machine-profile.ts';
import { AsideFile } from '../../system/aside.ts';

export default class ProfileJoin extends ImgbootCommand {
  static override summary = 'Join the profiles of several machines into one that serves them all';
  static override examples = [
    '<%= config.bin %> <%= command.id %> kiosk.json lab-1.json lab-2.json -o fleet.json',
  ];
  static override enableJsonFlag = true;
  static override strict = false;
  static override args = {
    file: Args.string({ description: 'a profile; give several', required: true }),
  };
  static override flags = {
    output: Flags.string({ char: 'o', summary: 'the file to write; standard output by default' }),
  };

  async run(): Promise<MachineProfile> {
    const { argv, flags } = await this.parse(ProfileJoin);
    const profile = joinProfiles((argv as string[]).map((path) => readProfile(path)));
    const text = profileText(profile);
    if (flags.output === undefined) this.log(text.trimEnd());
    else {
      using out = AsideFile.create(flags.output);
      out.write(Buffer.from(text));
      out.publish();
    }
    return profile;
  }
}
