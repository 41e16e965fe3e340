import { readFileSync } from 'node:fs';
import { errnoOf } from '../errors.ts';
import type { StorePaths } from './paths.ts';

/** What the store has to know of a deployment's version; what else it is, src/deploy knows. */
export interface DeployedVersion {
  /** `desktop/3` */
  id: string;
  /** The image ID. */
  image: string;
  /** The ChainID of its root file system. */
  chain: string;
}

/** The versions of deployments.json. One that cannot be read keeps everything from going on: what it names is unknown. */
export function deployedVersions(paths: StorePaths): DeployedVersion[] {
  let text: string;
  try {
    text = readFileSync(paths.deploymentsFile, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
  const { deployments } = JSON.parse(text) as {
    deployments: { name: string; versions: { number: number; image: string; chain: string }[] }[];
  };
  return deployments.flatMap(({ name, versions }) =>
    versions.map(({ number, image, chain }) => ({ id: `${name}/${number}`, image, chain })),
  );
}
