import { startProcess, type RunningProcess } from '../../system/process.ts';

const SCRIPT =
  'for name; do ip link add "$name" type veth peer name "peer-$name"; done; echo made; read -r _';

/**
 * A network namespace with interfaces of given names, in the place of one that ended with its container: what undoes a
 * network looks for them there. Disposal is idempotent.
 */
export class StandInNamespace implements AsyncDisposable {
  readonly path: string;
  readonly #process: RunningProcess;

  private constructor(process: RunningProcess) {
    this.#process = process;
    this.path = `/proc/${process.pid}/ns/net`;
  }

  static async create(interfaces: readonly string[]): Promise<StandInNamespace> {
    const process = await startProcess('unshare', ['--net', 'sh', '-ec', SCRIPT, 'sh', ...interfaces], {
      stdin: 'pipe',
      stdout: 'pipe',
    });
    await Promise.race([new Promise((resolve) => process.stdout!.once('data', resolve)), process.exited]);
    return new StandInNamespace(process);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.#process.exited;
  }
}
