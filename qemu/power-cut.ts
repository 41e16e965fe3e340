import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { loaderNames } from '../src/loader/machine.ts';
import { firmwareNames } from '../src/vm/firmware.ts';
import { TemporaryDirectory } from '../test/support/temporary-directory.ts';
import { describeMachine } from './bench/machine.ts';
import type { DiskKind } from './power-cut/disk.ts';
import { withFigures, asText } from './power-cut/figures.ts';
import { writeImages } from './power-cut/images.ts';
import { sessions } from './power-cut/sessions.ts';
import { sweepDisk, titleOf, type Figures } from './power-cut/sweep.ts';

// `npm run power-cut -- [POINTS [KIND|COMMAND...]]`: what is on a disk after its machine lost its power boots, and is whole.

const usualKinds = ['ext4:extlinux:bios', 'btrfs:systemd-boot:uefi'];

/** Machines that run at once: an emulated one takes a processor. */
const lanes = Math.min(2, availableParallelism());

const [pointsText = '200', ...asked] = process.argv.slice(2);
const points = Number(pointsText);
if (!Number.isInteger(points) || points < 1) stop(`${JSON.stringify(pointsText)} is no number of points`);
const commandNames = sessions.map(({ name }) => name);
const askedCommands = asked.filter((text) => commandNames.includes(text));
const askedKinds = asked.filter((text) => !commandNames.includes(text));
const kinds = (askedKinds.length === 0 ? usualKinds : askedKinds).map(parseKind);
const commands = new Set(askedCommands.length === 0 ? commandNames : askedCommands);

const since = Date.now();
const figures: Figures[] = [];
await using work = await TemporaryDirectory.create();
const images = path.join(work.path, 'images');
await mkdir(images);
const layouts = await writeImages(images);
for (let first = 0; first < kinds.length; first += lanes) {
  const swept = kinds.slice(first, first + lanes).map(
    async (kind) =>
      await sweepDisk(kind, {
        images: layouts,
        points: Math.ceil(points / kinds.length),
        commands,
        directory: work.path,
        tell: (line) => void process.stdout.write(`${titleOf(kind)}, ${line}\n`),
      }),
  );
  figures.push(...(await Promise.all(swept)).flat());
}
process.stdout.write(`\n${asText(figures)}\n`);
if (asked.length === 0) {
  const target = path.resolve(import.meta.dirname, '../docs/power-cuts.md');
  const seconds = Math.round((Date.now() - since) / 1000);
  const about = `${(await describeMachine()).join('; ')}; ${seconds} s in all.`;
  await writeFile(target, withFigures(await readFile(target, 'utf8'), { figures, about, points }));
  process.stderr.write(`power-cut: wrote ${path.relative('.', target)}\n`);
}
if (figures.some(({ failures }) => failures > 0)) process.exitCode = 1;

function parseKind(text: string): DiskKind {
  const [filesystem, loader, firmware] = text.split(':');
  const kind = {
    filesystem: (['btrfs', 'ext4'] as const).find((name) => name === filesystem),
    loader: loaderNames.find((name) => name === loader),
    firmware: firmwareNames.find((name) => name === firmware),
  };
  const { filesystem: known, loader: knownLoader, firmware: knownFirmware } = kind;
  if (known === undefined || knownLoader === undefined || knownFirmware === undefined)
    return stop(`${JSON.stringify(text)} is no kind of disk, such as ext4:extlinux:bios`);
  return { filesystem: known, loader: knownLoader, firmware: knownFirmware };
}

function stop(why: string): never {
  process.stderr.write(`power-cut: ${why}\n`);
  process.exit(2);
}
