import path from 'node:path';
import { execa } from 'execa';
import { DockerDaemon } from './dockerd.ts';

/** Another engine on a store of its own; dispose it. */
export interface Engine extends AsyncDisposable {
  /** Runs a command of it. @returns what it prints */
  run: (...words: string[]) => Promise<string>;
}

/** @param work gets what the engine keeps beside its store */
export async function startEngine(
  work: string,
  {
    engine,
    driver,
    place,
  }: { engine: 'docker' | 'podman'; driver: 'btrfs' | 'overlay' | 'overlay2' | 'vfs'; place: string },
): Promise<Engine> {
  if (engine === 'docker') {
    const daemon = await DockerDaemon.start(work, driver as 'btrfs' | 'overlay2' | 'vfs', place);
    return {
      run: async (...words) => daemon.docker(...words),
      [Symbol.asyncDispose]: async () => daemon[Symbol.asyncDispose](),
    };
  }
  const places = [
    '--root',
    place,
    '--runroot',
    path.join(work, 'run'),
    '--tmpdir',
    path.join(work, 'libpod'),
  ];
  const run = async (...words: string[]): Promise<string> =>
    (
      await execa('podman', [...places, '--storage-driver', driver, '--runtime', 'runc', ...words], {
        stripFinalNewline: false,
      })
    ).stdout;
  return {
    run,
    // The driver's own mount keeps the file system busy.
    [Symbol.asyncDispose]: async () => {
      await execa('umount', [path.join(place, driver)], { reject: false });
    },
  };
}
