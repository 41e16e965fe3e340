import { rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import type { SweepDisk } from './disk.ts';
import { Guest } from './guest.ts';
import type { Session } from './sessions.ts';
import { readState, type DiskState } from './state.ts';
import { readWriteLog, type Entry } from './write-log.ts';

/** A session that went well. */
export interface Recording {
  session: Session;
  /** The disk as it was before, which the record changes. */
  base: string;
  log: string;
  entries: Entry[];
  /** Places of the record: when the last command was given, and when it had said that it was done. */
  commandFrom: number;
  commandTo: number;
  before: DiskState;
  after: DiskState;
}

/** Copies a disk file, holes and all. */
export async function copyDisk(from: string, to: string): Promise<void> {
  await execa('cp', ['--sparse=always', '--reflink=auto', from, to]);
}

/** Has the machine of a disk do something, records what it writes, and leaves the disk as it is then. */
export async function record(
  disk: SweepDisk,
  { directory, session }: { directory: string; session: Session },
): Promise<Recording> {
  const base = path.join(directory, 'base');
  const log = path.join(directory, 'log');
  await rm(log, { force: true });
  await writeFile(log, '');
  const before = await readState(disk);
  // Not before that: to look is to mount, and a mount may write.
  await copyDisk(disk.path, base);
  const recordedBytes = async (): Promise<number> => (await stat(log)).size;
  let commandFrom: number;
  let commandTo: number;
  {
    const consoleLog = path.join(directory, `${session.name}.console`);
    await using guest = await Guest.boot(disk, { writeLog: log, consoleLog });
    for (const command of session.commands.slice(0, -1)) await guest.need(command);
    // What was done before is not the command's.
    await guest.need('sync');
    commandFrom = await recordedBytes();
    await guest.need(session.commands.at(-1)!);
    commandTo = await recordedBytes();
    await guest.powerOff();
  }
  const after = await readState(disk);
  return { session, base, log, entries: readWriteLog(log), commandFrom, commandTo, before, after };
}
