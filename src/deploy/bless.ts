import { existsSync } from 'node:fs';
import { ImgbootError } from '../errors.ts';
import { runCommand } from '../system/exec.ts';

/** Where the initramfs leaves what finds a boot good. */
const BLESS = '/run/initramfs/bless';

/** Finds the running boot good: it is no longer counted, and may be gone back to. Idempotent. @throws IMGBOOT_NO_REPORT */
export async function bless(): Promise<void> {
  if (!existsSync(BLESS)) {
    throw new ImgbootError('IMGBOOT_NO_REPORT', `this system is no deployment: there is no ${BLESS}`, {
      hint: 'imgboot deploy makes this machine boot an image',
    });
  }
  await runCommand(BLESS, []);
}
