import { ImgbootError } from '../errors.ts';
import { withoutEngine } from '../image/engine-name.ts';
import { parseReference } from '../image/reference.ts';

const NAME = /^[a-z0-9][a-z0-9._-]*$/;
const MAX_NAME_LENGTH = 63;

/** A name for a deployment, which becomes a directory and part of boot entries. @throws IMGBOOT_USAGE */
export function checkDeploymentName(name: string): string {
  if (NAME.test(name) && name.length <= MAX_NAME_LENGTH) return name;
  throw new ImgbootError('IMGBOOT_USAGE', `not a name for a deployment: ${JSON.stringify(name)}`, {
    hint: `a name has small letters, digits, ., _ and -, begins with a letter or digit, and has at most ${MAX_NAME_LENGTH} characters`,
  });
}

/** The name that a deployment of an image has by default: the last part of the image's. @throws IMGBOOT_USAGE */
export function nameOfImage({ reference, id }: { reference: string | undefined; id: string }): string {
  if (reference !== undefined)
    return checkDeploymentName(
      parseReference(withoutEngine(reference)).name.split('/').at(-1)!.slice(0, MAX_NAME_LENGTH),
    );
  throw new ImgbootError('IMGBOOT_USAGE', `the image ${id} has no name that its deployment could have`, {
    hint: 'give one with --name',
  });
}

/** `desktop-3`: a version where a slash has no place. */
export function flatId({ name, number }: { name: string; number: number }): string {
  return `${name}-${number}`;
}

/** The id of its boot entry. */
export function entryId(version: { name: string; number: number }): string {
  return `imgboot-${flatId(version)}`;
}
