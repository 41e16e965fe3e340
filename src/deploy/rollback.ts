import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { ImgbootError } from '../errors.ts';
import type { Store } from '../store/store.ts';
import { syncDirectory } from '../system/durable.ts';
import { Change, type ChangeOptions } from './change.ts';
import { versionDirectory } from './deployments.ts';
import { findVersion, noDeployments } from './find.ts';
import { rollbackTarget, withDefault } from './retain.ts';

/**
 * Makes another version the default: the last good one, or the one that is named. It is booted next time; what runs now
 * goes on running.
 * @throws IMGBOOT_NO_DEPLOYMENTS, IMGBOOT_NO_PREVIOUS, IMGBOOT_NO_SUCH_DEPLOYMENT
 */
export async function rollback(
  store: Store,
  { version, ...options }: ChangeOptions & { version?: string | undefined },
): Promise<{ from: string | null; to: string }> {
  const findMachine = (): never => {
    throw noDeployments();
  };
  using change = await Change.begin(store, { ...options, findMachine });
  const { deployments, facts } = change;
  const target =
    version === undefined ? rollbackTarget(deployments, facts) : findVersion(deployments, version);
  if (target === undefined) {
    throw new ImgbootError(
      'IMGBOOT_NO_PREVIOUS',
      `there is nothing to go back to from ${deployments.default}`,
      {
        hint: 'imgboot deployment ls lists the versions there are; name one to boot it',
      },
    );
  }
  const from = deployments.default;
  if (from === target.id) return { from, to: target.id };
  // One that has used up its tries gets new ones: somebody wants it.
  if (!facts.good.has(target.id)) {
    const directory = versionDirectory(store.paths, target);
    rmSync(join(directory, 'tries'), { force: true });
    syncDirectory(directory);
  }
  await change.commit(withDefault(deployments, target.id, facts));
  return { from, to: target.id };
}
