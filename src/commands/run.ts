import { Flags } from '../cli/oclif.ts';
import { ImgbootCommand, requireRoot, storeFlag } from '../cli/base-command.ts';
import { containerFlags } from '../cli/container-flags.ts';
import { readContainerFlags } from '../cli/read-container-flags.ts';
import { guestExitStatus } from '../cli/exit-status.ts';
import { splitGuestArguments } from '../cli/guest-arguments.ts';
import { storeWithImage } from '../cli/store-with-image.ts';
import { ownStreams, terminalSize } from '../cli/own-streams.ts';
import { createContainer } from '../container/create.ts';
import { finish, runInForeground } from '../container/foreground.ts';
import { startContainer } from '../container/start.ts';
import { sweepContainers } from '../container/cleanup.ts';
import { ImgbootError } from '../errors.ts';

export default class Run extends ImgbootCommand {
  static override summary = 'Run an image as a container';
  static override description =
    "Everything after IMAGE is the container's command. The exit status is the command's own; 125 where imgboot itself failed, 126 where the command cannot be executed, 127 where there is no such command.";
  static override usage = 'run [FLAGS] IMAGE [COMMAND [ARGUMENTS]]';
  static override examples = [
    '<%= config.bin %> <%= command.id %> --rm -it debian bash',
    '<%= config.bin %> <%= command.id %> -d --name web -p 8080:80 --memory 512m web',
    "<%= config.bin %> <%= command.id %> --rm debian sh -c 'echo $HOSTNAME'",
  ];
  static override strict = false;
  static override flags = {
    ...storeFlag,
    ...containerFlags,
    detach: Flags.boolean({ char: 'd', summary: 'start it in the background and print its ID' }),
  };

  async run(): Promise<void> {
    const { own, guest } = splitGuestArguments(this.argv, Run.flags);
    const { flags } = await this.parse(Run, own);
    const [image, ...command] = guest;
    if (image === undefined)
      throw new ImgbootError('IMGBOOT_USAGE', 'give an image', {
        hint: 'imgboot images lists those there are',
      });
    requireRoot('run');
    const taking = { progress: this.progress, signal: this.signal };
    const { store, reference } = await storeWithImage(flags.store, image, taking);
    await sweepContainers(store);
    // The console of a machine is where its user sits.
    const interactive = flags.interactive || (flags.boot && !flags.detach && process.stdin.isTTY);
    const request = readContainerFlags({ ...flags, interactive }, command);
    const container = await createContainer(store, reference, {
      request,
      progress: this.progress,
      signal: this.signal,
    });
    if (flags.detach) {
      try {
        await startContainer(store, container, {
          progress: this.progress,
          signal: this.signal,
          onWarning: (line) => this.tell(line),
        });
      } catch (error) {
        if (flags.rm) await finish(store, container);
        throw error;
      }
      this.log(container.record.id);
      return;
    }
    const result = await runInForeground(store, container, {
      streams: ownStreams(interactive),
      signal: this.signal,
      consoleSize: terminalSize(),
      onWarning: (line) => this.tell(line),
      onStarted: () => this.leaveSignals(),
    });
    this.exit('exitCode' in result ? result.exitCode : guestExitStatus.of(result.end));
  }

  protected override statusOf(error: unknown): number {
    return guestExitStatus.ofFailure(error);
  }
}
