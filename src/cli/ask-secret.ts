import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { ImgbootError } from '../errors.ts';

/** Asks on the terminal for what is not to be seen there. @throws IMGBOOT_USAGE where there is no terminal */
export async function askSecret(question: string): Promise<string> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw new ImgbootError('IMGBOOT_USAGE', 'there is no terminal to ask for a passphrase on', {
      hint: 'give it with --luks-passphrase-file',
    });
  }
  process.stderr.write(question);
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const terminal = createInterface({ input: process.stdin, output: nowhere, terminal: true });
  const stop = new AbortController();
  terminal.once('SIGINT', () => stop.abort(new DOMException('stopped by SIGINT', 'AbortError')));
  try {
    return await terminal.question('', { signal: stop.signal });
  } finally {
    terminal.close();
    process.stderr.write('\n');
  }
}
