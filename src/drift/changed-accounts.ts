import { lstatSync, readFileSync } from 'node:fs';
import type { TreeChange } from '../layer/diff-trees.ts';
import { compareAccounts, isAccountFile, type AccountChange } from './account-lines.ts';
import type { InsideRoot } from './compare-root.ts';

/** A changed file of accounts, with what was changed in it. */
export interface ChangedAccounts extends AccountChange {
  change: TreeChange;
}

/** Takes the files of accounts out of changes. Reads them from inside the root. */
export function splitAccounts(
  changes: readonly TreeChange[],
  { changed, below }: Pick<InsideRoot, 'changed' | 'below'>,
): { accounts: ChangedAccounts[]; others: TreeChange[] } {
  const isOne = ({ path, source }: TreeChange): boolean => isAccountFile(path) && source !== undefined;
  return {
    accounts: changes.filter(isOne).map((change) => {
      const [before, after] = [readText(`${below}/${change.path}`), readText(`${changed}/${change.path}`)];
      return { change, ...compareAccounts(before, after) };
    }),
    others: changes.filter((change) => !isOne(change)),
  };
}

/** A byte string; empty where there is no regular file. */
function readText(path: string): string {
  const isFile = lstatSync(path, { throwIfNoEntry: false })?.isFile() === true;
  return isFile ? readFileSync(path, 'latin1') : '';
}
