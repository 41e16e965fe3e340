import { createInterface } from 'node:readline/promises';
import { ImgbootError } from '../errors.ts';

/** Asks on the terminal; anything but yes ends the command. Where nobody can answer, the answer is yes. */
export async function confirm(question: string): Promise<void> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) return;
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await terminal.question(`${question} [y/N] `);
    if (!/^y(es)?$/i.test(answer.trim())) throw new ImgbootError('IMGBOOT_DECLINED', 'nothing was done');
  } finally {
    terminal.close();
  }
}
