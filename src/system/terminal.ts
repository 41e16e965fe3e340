import { loadKoffi } from './koffi.ts';

/** bits/termios-struct.h has 60 bytes on the architectures that Node runs on; with room for another. */
const TERMIOS_BYTES = 128;
/** bits/termios-tcflow.h */
const TCSADRAIN = 1;

interface Termios {
  get(fd: number, settings: Buffer): number;
  set(fd: number, when: number, settings: Buffer): number;
  makeRaw(settings: Buffer): void;
}

let bound: Termios | undefined;

function termios(): Termios {
  if (bound !== undefined) return bound;
  const lib = loadKoffi().load('libc.so.6');
  const bind = (prototype: string): never => lib.func(prototype) as never;
  bound = {
    get: bind('int tcgetattr(int fd, void *settings)'),
    set: bind('int tcsetattr(int fd, int when, void *settings)'),
    makeRaw: bind('void cfmakeraw(void *settings)'),
  };
  return bound;
}

/**
 * Makes a terminal pass everything on as it is, in both directions, until it is disposed. Node's own raw mode goes on
 * turning line ends of what is printed, which another terminal has done already. Where `fd` is no terminal, nothing is
 * done. @see termios(3), cfmakeraw
 */
export function rawTerminal(fd: number): Disposable {
  const before = Buffer.alloc(TERMIOS_BYTES);
  if (termios().get(fd, before) !== 0) return { [Symbol.dispose]() {} };
  const raw = Buffer.from(before);
  termios().makeRaw(raw);
  termios().set(fd, TCSADRAIN, raw);
  return { [Symbol.dispose]: () => void termios().set(fd, TCSADRAIN, before) };
}
