import { Args, Flags } from './oclif.ts';
import { hookGenerators, type HookGenerator } from '../boot/hooks.ts';
import { ImgbootError } from '../errors.ts';

/** The `--root` of the commands that work on hooks. */
export const hookRootFlag = {
  root: Flags.directory({
    summary: 'the root directory of another system, such as an image',
    default: '/',
    exists: true,
  }),
};

/** Names are checked where they are read: several may be given. */
export const hookArgs = {
  generator: Args.string({ description: 'dracut, initramfs-tools or mkinitcpio; several may be given' }),
};

/** The generators that were named. @throws IMGBOOT_USAGE */
export function readGenerators(names: readonly unknown[]): HookGenerator[] {
  for (const name of names) {
    if (hookGenerators.some((generator) => generator === name)) continue;
    throw new ImgbootError('IMGBOOT_USAGE', `there are no hooks for ${String(name)}`, {
      hint: `there are for ${hookGenerators.join(', ')}`,
    });
  }
  return names as HookGenerator[];
}
