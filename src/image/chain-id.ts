import { digestOf, type ChainId, type DiffId } from './digest.ts';

/**
 * The ChainID of each layer, bottom first: `chain(L0) = diff(L0)`, then the digest of `parent + " " + diff`.
 * @see image-spec config.md, "Layer ChainID"
 */
export function chainIds(diffIds: readonly DiffId[]): ChainId[] {
  const chain: ChainId[] = [];
  for (const diffId of diffIds) chain.push(nextChainId(chain.at(-1), diffId));
  return chain;
}

/** The ChainID of a layer on a parent; `parent` is undefined for the bottom layer. */
export function nextChainId(parent: ChainId | undefined, diffId: DiffId): ChainId {
  return (parent === undefined ? diffId : digestOf(`${parent} ${diffId}`)) as string as ChainId;
}
