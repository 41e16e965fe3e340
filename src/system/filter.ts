import { buffer } from 'node:stream/consumers';
import { ImgbootError } from '../errors.ts';
import { startProcess } from './process.ts';

/** A program that turns its standard input into its standard output. */
export interface Filter {
  command: readonly [program: string, ...args: string[]];
  /** Debian's package that has it. */
  package: string;
  /** What it is needed for, as the end of "PROGRAM is not installed, and ...". */
  purpose: string;
}

/**
 * What a filter makes of bytes.
 * @throws IMGBOOT_NEEDS_PROGRAM, IMGBOOT_FILTER_FAILED with the program's own words
 */
export async function runFilter(filter: Filter, input: Uint8Array): Promise<Buffer> {
  const [program, ...args] = filter.command;
  const child = await startProcess(program, args, { stdin: 'pipe', stdout: 'pipe' });
  child.stdin!.end(input);
  const output = await buffer(child.stdout!);
  const { exitCode, stderr } = await child.exited;
  if (exitCode === 0) return output;
  // What setpriv ends with where there is no such program.
  if (exitCode === 127) {
    throw new ImgbootError('IMGBOOT_NEEDS_PROGRAM', `${program} is not installed, and ${filter.purpose}`, {
      hint: `install it: apt-get install ${filter.package}`,
    });
  }
  throw new ImgbootError('IMGBOOT_FILTER_FAILED', `${program} failed: ${stderr.trim()}`, {
    hint: 'the data may be damaged',
  });
}
