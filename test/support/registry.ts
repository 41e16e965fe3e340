import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { TemporaryDirectory } from './temporary-directory.ts';

/** A registry on loopback, Debian's docker-registry; disposal ends it. */
export async function registry(): Promise<{ address: string } & AsyncDisposable> {
  const directory = await TemporaryDirectory.create();
  const address = `127.0.0.1:${await freePort()}`;
  mkdirSync(path.join(directory.path, 'data'));
  const config = path.join(directory.path, 'config.yml');
  writeFileSync(
    config,
    `version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: ${directory.path}/data\nhttp:\n  addr: ${address}\n`,
  );
  const child = execa('docker-registry', ['serve', config], { reject: false });
  for (let tries = 0; tries < 100; tries += 1) {
    const answer = await fetch(`http://${address}/v2/`).catch(() => undefined);
    if (answer?.ok === true) break;
    await sleep(100);
  }
  return {
    address,
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM');
      await child;
      await directory[Symbol.asyncDispose]();
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
