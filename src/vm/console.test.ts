import { describe, expect, it } from 'vitest';
import { Console } from './console.ts';

const soon = { timeoutMs: 20 };

describe('Console', () => {
  it('finds text that arrives in pieces', async () => {
    const console = new Console();
    const found = console.expect('login:', soon);
    console.append(Buffer.from('debian log'));
    console.append(Buffer.from('in: '));
    expect(await found).toBe('login:');
  });

  it('finds text that is there already', async () => {
    expect(await printed('debian login: ').expect(/\w+ login:/, soon)).toBe('debian login:');
  });

  it('each expectation begins where the one before it matched', async () => {
    const console = printed('login: ');
    await console.expect('login:', soon);
    await expect(console.expect('login:', soon)).rejects.toMatchObject({ code: 'IMGBOOT_CONSOLE_TIMEOUT' });
  });

  it('a time-out shows the last lines', async () => {
    await expect(printed('one\ntwo\n').expect('three', soon)).rejects.toThrow(
      '"three" within 0.02 s; the console\'s last lines:\n  | one\n  | two',
    );
  });

  it('colours and carriage returns are no part of the text, wherever the bytes are cut', () => {
    const bytes = Buffer.from('[\x1b[0;32m  OK  \x1b[0m] Gr\u00fc\u00dfe\r\n\x1b]0;title\x07\x1b7done');
    for (let cut = 0; cut <= bytes.length; cut += 1) {
      const console = new Console();
      console.append(bytes.subarray(0, cut));
      console.append(bytes.subarray(cut));
      expect(console.text).toBe('[  OK  ] Gr\u00fc\u00dfe\ndone');
    }
  });

  it('fails at once on text that rules the expected out', async () => {
    const console = new Console();
    const found = console.expect('login:', { timeoutMs: 10_000, unless: /Kernel panic.*/ });
    console.append(Buffer.from('Kernel panic - not syncing: no init\n'));
    await expect(found).rejects.toMatchObject({
      code: 'IMGBOOT_CONSOLE_UNEXPECTED',
      message: expect.stringContaining('Kernel panic - not syncing: no init') as string,
    });
  });

  it('what is printed before the text that rules it out counts', async () => {
    const console = printed('login: \nKernel panic\n');
    expect(await console.expect('login:', { ...soon, unless: 'Kernel panic' })).toBe('login:');
  });

  it('a machine that ends fails who waits, and who asks later', async () => {
    const console = printed('last words\n');
    const found = console.expect('login:', { timeoutMs: 10_000 });
    console.end("QEMU's exit status 1");
    await expect(found).rejects.toThrow(
      'the machine ended (QEMU\'s exit status 1) before its console printed "login:"',
    );
    await expect(console.expect('x', soon)).rejects.toMatchObject({ code: 'IMGBOOT_MACHINE_ENDED' });
    expect(await console.expect('last words', soon)).toBe('last words');
  });

  it('what systemd draws while it waits is shown once', () => {
    const waits = ['[*     ] Job a (1s / 1min)', '[ ***  ] Job a (2s / 1min)', '[    **] Job a (3s / 1min)'];
    const console = printed(['[  OK  ] Started one.', ...waits, '[FAILED] two', ...waits].join('\r\n'));
    expect(console.lastLines().split('\n')).toEqual([
      '  | [  OK  ] Started one.',
      '  | [    **] Job a (3s / 1min)',
      '  | [FAILED] two',
      '  | [    **] Job a (3s / 1min)',
    ]);
  });

  it('an abort ends the waiting', async () => {
    const abort = new AbortController();
    const found = new Console().expect('x', { timeoutMs: 10_000, signal: abort.signal });
    abort.abort(new Error('stopped'));
    await expect(found).rejects.toThrow('stopped');
  });
});

function printed(text: string): Console {
  const console = new Console();
  console.append(Buffer.from(text));
  return console;
}
