import { ImgbootError } from '../errors.ts';

/**
 * Of which container an image is to be made, and its name: undefined for the system that runs, whose image's name is the
 * only word. @throws IMGBOOT_USAGE
 */
export function commitSubject(
  { container, image }: { container: string | undefined; image: string | undefined },
  booted: boolean,
): { container: string | undefined; reference: string | undefined } {
  if (!booted && container === undefined)
    throw new ImgbootError('IMGBOOT_USAGE', 'name a container', {
      hint: 'or --booted: the system that runs',
    });
  if (booted && image !== undefined)
    throw new ImgbootError('IMGBOOT_USAGE', 'with --booted there is no container to name', {
      hint: `imgboot commit --booted ${image}`,
    });
  return booted ? { container: undefined, reference: container } : { container, reference: image };
}
