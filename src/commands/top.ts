import { Args } from '../cli/oclif.ts';
import { ImgbootCommand, storeFlag } from '../cli/base-command.ts';
import { table } from '../cli/table.ts';
import { findContainer } from '../container/record.ts';
import { containerProcesses, type ContainerProcess } from '../container/top.ts';
import { Store } from '../store/store.ts';

export default class Top extends ImgbootCommand {
  static override summary = 'Show the processes of a container';
  static override examples = ['<%= config.bin %> <%= command.id %> web'];
  static override enableJsonFlag = true;
  static override args = {
    container: Args.string({ required: true, description: 'a name, or the start of an ID' }),
  };
  static override flags = { ...storeFlag };

  async run(): Promise<ContainerProcess[]> {
    const { args, flags } = await this.parse(Top);
    const processes = containerProcesses(findContainer(Store.open(flags.store), args.container));
    this.log(
      table(
        ['UID', 'PID', 'PPID', 'HOST PID', 'ELAPSED', 'TIME', 'COMMAND'],
        processes.map((process) => [
          String(process.uid),
          String(process.pid),
          String(process.parentPid),
          String(process.hostPid),
          clock(process.elapsedSeconds),
          clock(process.cpuSeconds),
          process.command,
        ]),
      ),
    );
    return processes;
  }
}

function clock(seconds: number): string {
  const whole = Math.floor(seconds);
  const part = (value: number): string => String(value).padStart(2, '0');
  return `${part(Math.floor(whole / 3600))}:${part(Math.floor(whole / 60) % 60)}:${part(whole % 60)}`;
}
