import { Flags } from '../cli/oclif.ts';
import { ImgbootCommand, requireRoot, storeFlag } from '../cli/base-command.ts';
import { readEnvironment } from '../cli/read-container-flags.ts';
import { guestExitStatus } from '../cli/exit-status.ts';
import { splitGuestArguments } from '../cli/guest-arguments.ts';
import { ownStreams, terminalSize } from '../cli/own-streams.ts';
import { execInContainer } from '../container/exec.ts';
import { findContainer } from '../container/record.ts';
import { ImgbootError } from '../errors.ts';
import { Store } from '../store/store.ts';

export default class Exec extends ImgbootCommand {
  static override summary = 'Run a further program in a running container';
  static override description =
    "Everything after CONTAINER is the program and its arguments. The exit status is the program's own; 125 where imgboot itself failed, 126 where it cannot be executed, 127 where there is no such program.";
  static override usage = 'exec [FLAGS] CONTAINER COMMAND [ARGUMENTS]';
  static override examples = [
    '<%= config.bin %> <%= command.id %> -it web bash',
    '<%= config.bin %> <%= command.id %> -u www-data web id',
  ];
  static override strict = false;
  static override flags = {
    ...storeFlag,
    interactive: Flags.boolean({ char: 'i', summary: 'pass standard input on' }),
    tty: Flags.boolean({ char: 't', summary: 'give it a terminal' }),
    detach: Flags.boolean({ char: 'd', summary: 'leave it in the background' }),
    env: Flags.string({
      char: 'e',
      summary: 'a variable; without VALUE, ours',
      helpValue: 'NAME[=VALUE]',
      multiple: true,
      multipleNonGreedy: true,
    }),
    user: Flags.string({ char: 'u', summary: 'who it runs as', helpValue: 'USER[:GROUP]' }),
    workdir: Flags.string({ char: 'w', summary: 'the directory that it begins in' }),
    privileged: Flags.boolean({ summary: 'all capabilities' }),
  };

  async run(): Promise<void> {
    const { own, guest } = splitGuestArguments(this.argv, Exec.flags);
    const { flags } = await this.parse(Exec, own);
    const [name, ...rest] = guest;
    // A -- before the program is what many write, and no program's name.
    const args = rest[0] === '--' ? rest.slice(1) : rest;
    if (name === undefined || args.length === 0)
      throw new ImgbootError('IMGBOOT_USAGE', 'give a container and a program', {
        hint: 'imgboot exec web ps',
      });
    requireRoot('exec');
    const store = Store.open(flags.store);
    const result = await execInContainer(findContainer(store, name), {
      args,
      env: readEnvironment(flags.env ?? []),
      user: flags.user,
      workingDir: flags.workdir,
      terminal: flags.tty,
      stdin: flags.interactive,
      privileged: flags.privileged,
      streams: flags.detach ? undefined : ownStreams(flags.interactive),
      consoleSize: flags.tty ? terminalSize() : undefined,
      onStarted: () => this.leaveSignals(),
    });
    if (result === undefined) return;
    this.exit('exitCode' in result ? result.exitCode : guestExitStatus.of(result.end));
  }

  protected override statusOf(error: unknown): number {
    return guestExitStatus.ofFailure(error);
  }
}
