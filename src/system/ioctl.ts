import { getSystemErrorMap } from 'node:util';
import { SyscallError } from '../errors.ts';
import { loadKoffi } from './koffi.ts';

interface Ioctl {
  withNumber(fd: number, request: number, argument: number): number;
  withBuffer(fd: number, request: number, argument: Buffer): number;
}

let bound: Ioctl | undefined;

/** ioctl(2): the result is as the kernel gives it, and errno is koffi's. */
export function ioctl(): Ioctl {
  if (bound !== undefined) return bound;
  const lib = loadKoffi().load('libc.so.6');
  bound = {
    withNumber: lib.func('ioctl', 'int', ['int', 'unsigned long', 'long']) as never,
    withBuffer: lib.func('ioctl', 'int', ['int', 'unsigned long', 'void *']) as never,
  };
  return bound;
}

/** The error of an ioctl(2). @throws SyscallError */
export function failIoctl(request: string, errno: number, path: string): never {
  const [name, reason] = getSystemErrorMap().get(-errno) ?? [`errno ${errno}`, 'unknown error'];
  throw new SyscallError({ syscall: `ioctl ${request}`, errno: name, reason, path });
}
