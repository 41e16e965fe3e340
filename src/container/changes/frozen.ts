import { Daemon } from '../../system/daemon.ts';
import { runtimeArguments } from '../conmon.ts';
import { freeze, isFrozen, thaw } from '../limits/container-cgroup.ts';
import type { Container } from '../record.ts';
import { chooseRuntime } from '../runtime.ts';
import { isRunning } from '../state.ts';

/** Goes on when a word comes, or the one who would say it is gone. $@: what lets the container go on */
const GUARD = 'read -r _ <&3 || exec "$@"';

/** Lets the container go on. Idempotent. */
export type Thaw = () => void;

/**
 * Stops the processes of a container that runs, until told to let them go on; also when this process is killed, a
 * process of its own sees to that. Nothing is done to one that does not run, or is paused already.
 */
export async function freezeContainer({ record, paths }: Container): Promise<Thaw> {
  if (!isRunning(paths) || isFrozen(record.id)) return () => {};
  const runtime = await chooseRuntime();
  const resume = [runtime.program, ...runtimeArguments(paths), 'resume', record.id];
  const guard = new Daemon(['sh', '-c', GUARD, 'sh', ...resume], { cwd: '/', env: process.env, pipes: 1 });
  await freeze(record.id);
  let frozen = true;
  return () => {
    if (!frozen) return;
    frozen = false;
    thaw(record.id);
    guard.write(0, 'done\n');
    guard[Symbol.dispose]();
  };
}
