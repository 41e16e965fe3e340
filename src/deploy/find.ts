import { ImgbootError } from '../errors.ts';
import type { StorePaths } from '../store/paths.ts';
import {
  allVersions,
  readDeployments,
  type Deployment,
  type Deployments,
  type NamedVersion,
  type Version,
} from './deployments.ts';

/** @throws IMGBOOT_NO_DEPLOYMENTS */
export function requireDeployments(paths: StorePaths): Deployments {
  const found = readDeployments(paths);
  if (found === undefined || found.deployments.length === 0) throw noDeployments();
  return found;
}

export function noDeployments(): ImgbootError {
  return new ImgbootError('IMGBOOT_NO_DEPLOYMENTS', 'nothing is deployed', {
    hint: 'imgboot deploy IMAGE makes this machine boot an image',
  });
}

/**
 * A deployment by name; the one that is booted by default where no name is given.
 * @throws IMGBOOT_NO_SUCH_DEPLOYMENT, naming those there are
 */
export function findDeployment(deployments: Deployments, name: string | undefined): Deployment {
  const wanted = name ?? deployments.default?.split('/')[0];
  const found = deployments.deployments.find((one) => one.name === wanted);
  if (found !== undefined) return found;
  throw noSuchDeployment(
    JSON.stringify(wanted),
    deployments.deployments.map((one) => one.name),
  );
}

/** The one that is booted by default, or the newest. */
export function presentVersion(deployments: Deployments, { name, versions }: Deployment): Version {
  return versions.find(({ number }) => deployments.default === `${name}/${number}`) ?? versions.at(-1)!;
}

/**
 * A version: `desktop/3`, or the newest of `desktop`.
 * @throws IMGBOOT_NO_SUCH_DEPLOYMENT, naming those there are
 */
export function findVersion(deployments: Deployments, text: string): NamedVersion {
  const versions = allVersions(deployments);
  const found = versions.findLast(({ id, name }) => id === text || name === text);
  if (found !== undefined) return found;
  throw noSuchDeployment(
    JSON.stringify(text),
    versions.map(({ id }) => id),
  );
}

function noSuchDeployment(what: string, there: readonly string[]): ImgbootError {
  return new ImgbootError('IMGBOOT_NO_SUCH_DEPLOYMENT', `there is no deployment ${what}`, {
    hint: there.length === 0 ? 'there are none' : `there is ${there.join(', ')}`,
  });
}
