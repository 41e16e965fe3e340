/** What a machine does from its start to its end while all that it writes is recorded; each goes on where the last ended. */
export interface Session {
  /** The command that it is about. */
  name: string;
  commands: readonly string[];
  /** Its share of all points. */
  share: number;
}

const bless = 'imgboot bless';

/** An emulated processor that has to wait for its turn may miss the ticks by which the kernel tries its timer. */
export const kernelWords = 'console=ttyS0 quiet no_timer_check';

/**
 * The four commands, and four boots that differ: the first of all; the first of a version, which is counted; with an
 * earlier writable layer there; with a persistent one to make.
 */
export const sessions: readonly Session[] = [
  { name: 'upgrade', commands: [bless, 'imgboot upgrade'], share: 0.3 },
  { name: 'rollback', commands: [bless, 'imgboot rollback'], share: 0.2 },
  {
    name: 'deploy',
    commands: [
      `imgboot deploy machine:latest --name other --writable persistent --persist /home --top-layer LABEL=imgboot:/toplayer --append "${kernelWords}"`,
    ],
    share: 0.3,
  },
  { name: 'undeploy', commands: [bless, 'imgboot undeploy machine --yes'], share: 0.2 },
];

/** What `/etc/name` says in each version. */
export const names: Record<string, string> = { 'machine/1': 'one', 'machine/2': 'two', 'other/1': 'two' };
