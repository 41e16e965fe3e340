import { release } from 'node:os';
import { Args, Flags } from '../../cli/oclif.ts';
import { ImgbootCommand, requireRoot, storeFlag } from '../../cli/base-command.ts';
import { ImgbootError } from '../../errors.ts';
import { checkProfile, type ProfileFinding } from '../../initramfs/check-profile.ts';
import { readProfile } from '../../initramfs/machine-profile.ts';
import { recordFirmware, recordMachine } from '../../initramfs/record-machine.ts';

export default class ProfileCheck extends ImgbootCommand {
  static override summary = 'Say what an image lacks for a machine: drivers, firmware, what the root lies on';
  static override description =
    'The machine is this one, or that of --profile. Exits with 1 when the image lacks something.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> desktop',
    '<%= config.bin %> <%= command.id %> desktop --profile fleet.json',
    '<%= config.bin %> <%= command.id %> --root ./rootfs --profile fleet.json',
  ];
  static override enableJsonFlag = true;
  static override args = {
    image: Args.string({ description: 'reference of an image in the store' }),
  };
  static override flags = {
    ...storeFlag,
    root: Flags.directory({ summary: 'check this root file system in place of an image', exists: true }),
    profile: Flags.string({ summary: 'a profile that imgboot profile record wrote', helpValue: 'FILE' }),
    kver: Flags.string({ summary: 'the kernel version, where there are several' }),
  };

  async run(): Promise<ProfileFinding[]> {
    const { args, flags } = await this.parse(ProfileCheck);
    if ((args.image === undefined) === (flags.root === undefined)) {
      throw new ImgbootError('IMGBOOT_USAGE', 'give either an image or --root DIR', {
        hint: 'imgboot profile check desktop --profile FILE',
      });
    }
    const profile =
      flags.profile === undefined
        ? await recordFirmware(recordMachine(), release())
        : readProfile(flags.profile);
    const request = { profile, kver: flags.kver };
    const findings =
      args.image === undefined
        ? checkProfile({ ...request, root: flags.root! })
        : await this.#checkImage(args.image, { ...request, store: flags.store });
    for (const { message } of findings) this.log(message);
    if (findings.length > 0) process.exitCode = 1;
    else this.log(`${args.image ?? flags.root!} has all that the machine needs`);
    return findings;
  }

  async #checkImage(
    reference: string,
    { store, ...request }: Omit<Parameters<typeof checkProfile>[0], 'root'> & { store: string },
  ): Promise<ProfileFinding[]> {
    requireRoot('profile check of an image');
    const [{ checkImageProfile }, { Store }] = await Promise.all([
      import('../../boot/check-image-profile.ts'),
      import('../../store/store.ts'),
    ]);
    return checkImageProfile(Store.open(store), { reference, ...request, signal: this.signal });
  }
}
