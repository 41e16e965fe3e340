import { ftruncateSync, openSync, closeSync } from 'node:fs';
import { runCommand } from '../system/exec.ts';

const MEBIBYTE = 2 ** 20;
const GPT = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
/** The disk's number, and the partition's; logical ones have others. */
const MBR = /^([0-9a-f]{8})-0([1-4])$/i;

/** Whether {@link makePartitioned} can make a partition of this UUID. */
export function isTableable(partUuid: string): boolean {
  return GPT.test(partUuid) || MBR.test(partUuid);
}

/** Makes a disk of one partition that has the content of a file. */
export async function makePartitioned(
  disk: string,
  part: { content: string; sizeBytes: number; partUuid: string | undefined; partLabel: string | undefined },
): Promise<void> {
  const fd = openSync(disk, 'wx', 0o600);
  // Both tables of a GPT.
  ftruncateSync(fd, part.sizeBytes + 2 * MEBIBYTE);
  closeSync(fd);
  await runCommand('sfdisk', ['--quiet', '--no-reread', '--no-tell-kernel', disk], {
    input: script(part),
  });
  await runCommand('dd', [
    `if=${part.content}`,
    `of=${disk}`,
    'bs=1M',
    'seek=1',
    'conv=notrunc,sparse',
    'status=none',
  ]);
}

/** @see sfdisk(8), "Input formats" */
function script(part: {
  sizeBytes: number;
  partUuid: string | undefined;
  partLabel: string | undefined;
}): string {
  const place = `start=1MiB, size=${Math.floor(part.sizeBytes / MEBIBYTE)}MiB`;
  const mbr = MBR.exec(part.partUuid ?? '');
  if (mbr !== null) return `label: dos\nlabel-id: 0x${mbr[1]}\n\npart${mbr[2]} : ${place}, type=83\n`;
  const uuid = part.partUuid === undefined ? '' : `, uuid=${part.partUuid}`;
  // What ends the word ends the name; there is no escape for it.
  const name = part.partLabel === undefined ? '' : `, name="${part.partLabel.replaceAll(/["\p{Cc}]/gu, '')}"`;
  return `label: gpt\n\n${place}${uuid}${name}\n`;
}
