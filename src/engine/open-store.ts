import { join } from 'node:path';
import { readFileSync } from 'node:fs';
import { CommandFailed, errnoOf } from '../errors.ts';
import type { EngineName } from '../image/engine-name.ts';
import { runCommand } from '../system/exec.ts';
import { DockerStore } from './docker-store.ts';
import type { EngineStore } from './engine-store.ts';
import { PodmanStore } from './podman-store.ts';

/**
 * The store of an engine, where the engine itself says that it is. Reads only.
 * @throws IMGBOOT_NO_ENGINE_STORE, IMGBOOT_UNSUPPORTED_ENGINE_DRIVER
 */
export async function openEngineStore({
  engine,
  place,
}: Pick<EngineName, 'engine' | 'place'>): Promise<EngineStore> {
  if (place !== undefined) return PodmanStore.open(place.root, place.driver);
  return engine === 'docker' ? DockerStore.open(await dockerRoot()) : PodmanStore.open(await podmanRoot());
}

/** IMGBOOT_DOCKER_ROOT; else the daemon's word, where it runs, or its configuration's. */
async function dockerRoot(): Promise<string> {
  return (
    process.env['IMGBOOT_DOCKER_ROOT'] ??
    (await answer('docker', ['info', '--format', '{{.DockerRootDir}}'])) ??
    dataRootOf('/etc/docker/daemon.json') ??
    '/var/lib/docker'
  );
}

/** IMGBOOT_PODMAN_ROOT; else Podman's word, where it is installed. */
async function podmanRoot(): Promise<string> {
  return (
    process.env['IMGBOOT_PODMAN_ROOT'] ??
    (await answer('podman', ['info', '--format', '{{.Store.GraphRoot}}'])) ??
    '/var/lib/containers/storage'
  );
}

/** An absolute path that a program prints; undefined where it does not. */
async function answer(program: string, args: readonly string[]): Promise<string | undefined> {
  try {
    const { stdout } = await runCommand(program, args, { signal: AbortSignal.timeout(10_000) });
    return stdout.startsWith('/') ? stdout.trim() : undefined;
  } catch (error) {
    if (error instanceof CommandFailed || (error as Error).name === 'TimeoutError') return undefined;
    throw error;
  }
}

/** @see dockerd(8), daemon configuration file */
function dataRootOf(file: string): string | undefined {
  try {
    const root = (JSON.parse(readFileSync(file, 'utf8')) as { 'data-root'?: unknown })['data-root'];
    return typeof root === 'string' ? join('/', root) : undefined;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || error instanceof SyntaxError) return undefined;
    throw error;
  }
}
