import { join } from 'node:path';
import type { Store } from '../store/store.ts';
import { FileLock } from '../system/lock.ts';
import { checkName, freeName, writeRecord } from './create.ts';
import { listContainers, readContainer, type Container } from './record.ts';

/** Gives a container another name. Atomic. @throws IMGBOOT_NAME_TAKEN, IMGBOOT_USAGE */
export async function renameContainer(store: Store, { paths }: Container, name: string): Promise<void> {
  checkName(name);
  using _names = await FileLock.acquire(join(store.paths.locks, 'containers'), 'exclusive');
  freeName(name, listContainers(store));
  const now = readContainer(paths);
  if (now !== undefined) writeRecord(paths, { ...now.record, name });
}
