import type { Store } from '../store/store.ts';
import { Change, type ChangeOptions } from './change.ts';
import { findVersion, noDeployments } from './find.ts';

/** Pins a version, which then stays whatever comes after it, or unpins it. @returns `desktop/3` */
export async function pinVersion(
  store: Store,
  { version, pinned, ...options }: ChangeOptions & { version: string; pinned: boolean },
): Promise<string> {
  const findMachine = (): never => {
    throw noDeployments();
  };
  using change = await Change.begin(store, { ...options, findMachine });
  const { deployments } = change;
  const found = findVersion(deployments, version);
  await change.commit({
    ...deployments,
    deployments: deployments.deployments.map((one) => ({
      ...one,
      versions: one.versions.map((each) =>
        one.name === found.name && each.number === found.number ? { ...each, pinned } : each,
      ),
    })),
  });
  return found.id;
}
