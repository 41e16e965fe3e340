import { closeSync, constants as fsConstants, openSync, read, write } from 'node:fs';
import { constants } from 'node:os';
import { basename, dirname } from 'node:path';
import { getSystemErrorMap } from 'node:util';
import { SyscallError, errnoOf } from '../errors.ts';
import { loadKoffi } from './koffi.ts';

/** bits/socket.h */
const AF_UNIX = 1;
const SOCK_SEQPACKET = 5;
const SOCK_CLOEXEC = 0o2000000;
const SHUT_WR = 1;
const SHUT_RDWR = 2;

interface Sockets {
  socket(domain: number, type: number, protocol: number): number;
  connect(fd: number, address: Buffer, length: number): number;
  shutdown(fd: number, how: number): number;
}

let bound: Sockets | undefined;

function sockets(): Sockets {
  if (bound !== undefined) return bound;
  const lib = loadKoffi().load('libc.so.6');
  const bind = (prototype: string): never => lib.func(prototype) as never;
  bound = {
    socket: bind('int socket(int domain, int type, int protocol)'),
    connect: bind('int connect(int fd, void *address, uint32_t length)'),
    shutdown: bind('int shutdown(int fd, int how)'),
  };
  return bound;
}

/**
 * A connection of packets (SOCK_SEQPACKET, which Node's own sockets lack) to a socket in the file system. Each read
 * and write is one packet; a write waits while the other side is slow. Disposal is idempotent.
 */
export class PacketSocket implements AsyncDisposable {
  readonly #fd: number;
  #pending: Promise<unknown> = Promise.resolve();
  #closed = false;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /** @throws SyscallError */
  static connect(path: string): PacketSocket {
    const fd = sockets().socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0) fail('socket', path);
    // An address holds 107 bytes: the directory is named by a descriptor, and may have any length.
    const directory = openSync(dirname(path), fsConstants.O_RDONLY | fsConstants.O_DIRECTORY);
    try {
      const name = Buffer.from(`/proc/self/fd/${directory}/${basename(path)}\0`);
      const address = Buffer.alloc(2 + name.length);
      address.writeUInt16LE(AF_UNIX, 0);
      name.copy(address, 2);
      if (sockets().connect(fd, address, address.length) !== 0) {
        const number = loadKoffi().errno();
        closeSync(fd);
        fail('connect', path, number);
      }
    } finally {
      closeSync(directory);
    }
    return new PacketSocket(fd);
  }

  /** The next packet, in `buffer`; 0 when the other side has closed. Only one at a time. */
  async read(buffer: Buffer): Promise<number> {
    const reading = new Promise<number>((resolve, reject) => {
      read(this.#fd, buffer, 0, buffer.length, null, (error, size) => {
        if (error === null) resolve(size);
        else if (errnoOf(error) === 'ECONNRESET') resolve(0);
        else reject(error);
      });
    });
    this.#pending = reading.catch(() => {});
    return reading;
  }

  /** Sends a packet. @returns whether the other side still takes them */
  async write(packet: Uint8Array): Promise<boolean> {
    return new Promise((resolve, reject) => {
      write(this.#fd, packet, (error) => {
        if (error === null || error === undefined) resolve(true);
        else if (['EPIPE', 'ECONNRESET'].includes(errnoOf(error) ?? '')) resolve(false);
        else reject(error);
      });
    });
  }

  /** Tells the other side that nothing more comes from us. */
  endWriting(): void {
    if (!this.#closed) sockets().shutdown(this.#fd, SHUT_WR);
  }

  /** Ends both directions: a read under way gives 0. */
  end(): void {
    if (!this.#closed) sockets().shutdown(this.#fd, SHUT_RDWR);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.end();
    this.#closed = true;
    // A descriptor that is closed under a read may be another file's by the time the read begins.
    await this.#pending;
    closeSync(this.#fd);
  }
}

const errnoNames = new Map(Object.entries(constants.errno).map(([name, number]) => [number, name]));

function fail(syscall: string, path: string, number = loadKoffi().errno()): never {
  const errno = errnoNames.get(number) ?? `errno ${number}`;
  const reason = getSystemErrorMap().get(-number)?.[1] ?? 'unknown error';
  throw new SyscallError({ syscall, errno, reason, path });
}
