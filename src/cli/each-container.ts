import { findContainer, type Container } from '../container/record.ts';
import { errorMessage, ImgbootError } from '../errors.ts';
import type { Store } from '../store/store.ts';

/**
 * Does something with each of several containers, all of which must be there. What fails with one keeps none of the
 * others from it; then all that failed is told in one error.
 */
export async function eachContainer(
  store: Store,
  names: readonly string[],
  action: (container: Container, name: string) => Promise<void>,
): Promise<void> {
  const found = names.map((name) => [findContainer(store, name), name] as const);
  const results = await Promise.allSettled(found.map(async ([container, name]) => action(container, name)));
  const failures = results.flatMap((result) =>
    result.status === 'rejected' ? [result.reason as unknown] : [],
  );
  if (failures.length === 0) return;
  if (failures.length === 1 || failures[0] instanceof DOMException) throw failures[0];
  throw new ImgbootError('IMGBOOT_SEVERAL_FAILED', failures.map(errorMessage).join('\n'), {
    cause: failures[0],
  });
}
