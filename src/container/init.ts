import { ImgbootError } from '../errors.ts';
import { findProgram } from '../system/requirements-check.ts';

/** Small inits that need nothing of the image, being static; catatonit is podman's. */
const programs = ['catatonit', 'tini-static'];

/** The program of a small init. @throws IMGBOOT_NO_INIT */
export async function findInit(): Promise<string> {
  for (const name of programs) {
    const program = await findProgram(name);
    if (program !== undefined) return program;
  }
  throw new ImgbootError(
    'IMGBOOT_NO_INIT',
    `--init needs ${programs.join(' or ')}, and neither is installed`,
    {
      hint: 'imgboot doctor run --install',
    },
  );
}
