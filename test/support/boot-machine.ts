import { rm } from 'node:fs/promises';
import path from 'node:path';
import type { TestContext } from 'vitest';
import { chooseAccelerator } from '../../src/vm/accelerator.ts';
import type { Machine } from '../../src/vm/machine.ts';
import { startMachine, type VirtualMachine } from '../../src/vm/virtual-machine.ts';
import { outDirectory } from './paths.ts';

/** A machine of usual size with its console captured; the caller says what it boots. */
export type TestMachine = Partial<Machine> & { name?: string };

/**
 * Starts a machine for a test. Its console goes to a file in out/consoles, which stays where the test fails and is
 * removed where it passes. Dispose the machine.
 */
export async function bootMachine(context: TestContext, machine: TestMachine): Promise<VirtualMachine> {
  const { name = 'console', ...parts } = machine;
  const title = `${context.task.name}-${name}`.replaceAll(/[^\w.-]+/g, '-').slice(0, 150);
  const consoleLog = path.join(outDirectory, 'consoles', `${title}.log`);
  const { accelerator } = await chooseAccelerator();
  context.onTestFinished(async ({ task }) => {
    if (task.result?.state === 'fail') process.stderr.write(`the console of "${task.name}": ${consoleLog}\n`);
    else await rm(consoleLog, { force: true });
  });
  return startMachine({
    accelerator,
    memoryBytes: 1024 * 2 ** 20,
    cpus: 1,
    console: 'captured',
    consoleLog,
    ...parts,
    // See guestArguments; ahead of what a test may end with "--".
    append: parts.append === undefined ? undefined : `no_timer_check ${parts.append}`,
  });
}
