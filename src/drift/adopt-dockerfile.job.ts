import { mkdirSync, renameSync } from 'node:fs';
import { applyChanges } from '../layer/commit-upper.ts';
import { syncTree } from '../system/durable.ts';
import { removeTree } from '../system/remove-tree.ts';
import { splitAccounts, type ChangedAccounts } from './changed-accounts.ts';
import { compareRoot } from './compare-root.ts';
import { canSayAccounts, withoutSystemAccounts, type AccountsToSay } from './dockerfile-accounts.ts';
import { planDockerfile, type DockerfilePlan } from './dockerfile-plan.ts';
import { openRoot, type RootView } from './root-view.ts';

export interface AdoptDockerfileJob {
  view: RootView;
  /** Paths of the changes that are meant. */
  wanted: ReadonlySet<string>;
  /** Those of them at which there was something of another kind. */
  retyped: ReadonlySet<string>;
  /** Packages are installed by other lines, and bring accounts of the system. */
  hasPackages: boolean;
  /** The directory of the context that the files get, as the Dockerfile names it. */
  directory: string;
  /** Where that is made; undefined to only say what would be. */
  output: string | undefined;
}

export type AdoptedIntoDockerfile = Pick<DockerfilePlan, 'lines' | 'unsaid'> & { files: number };

export function runJob(job: AdoptDockerfileJob): Promise<AdoptedIntoDockerfile> {
  const { view, wanted, retyped, hasPackages, directory, output } = job;
  const opened = openRoot(view);
  const options = { made: view.made, latestSeconds: undefined, wanted };
  const { accounts, others } = compareRoot(opened, options, splitAccounts);
  // A new file, and one that no line of sed can change, is copied whole.
  const [said, whole] = [accounts.filter(isSaid), accounts.filter((one) => !isSaid(one))];
  const toSay = said.map(({ change, ...one }): AccountsToSay => ({
    ...one,
    name: change.path.slice('etc/'.length),
  }));
  const plan = planDockerfile({
    changes: [...others, ...whole.map(({ change }) => change)],
    retyped,
    accounts: hasPackages ? withoutSystemAccounts(toSay) : toSay,
    directory,
  });
  if (output !== undefined && plan.files.length > 0) {
    const aside = `${output}.new`;
    removeTree(aside);
    mkdirSync(aside, { mode: 0o755 });
    applyChanges(plan.files, { upper: opened.changed, root: aside, plainNames: true });
    syncTree(aside);
    renameSync(aside, output);
  }
  return Promise.resolve({ lines: plan.lines, unsaid: plan.unsaid, files: plan.files.length });
}

function isSaid(accounts: ChangedAccounts): boolean {
  return accounts.change.kind === 'changed' && canSayAccounts(accounts);
}
