import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { VirtualMachine } from '../../src/vm/virtual-machine.ts';
import { TemporaryDirectory } from './temporary-directory.ts';

const PAUSE_MS = 2_000;

/** A picture of a machine's screen. */
export class Screen {
  readonly #pixels: Buffer;

  /** @param ppm a binary portable pixmap of 8 bits a colour, as QEMU writes it */
  constructor(ppm: Buffer) {
    const header = /^P6\n\d+ \d+\n255\n/.exec(ppm.toString('latin1', 0, 64));
    if (header === null) throw new Error('not a picture as QEMU writes it');
    this.#pixels = ppm.subarray(header[0].length);
  }

  /** How much of the screen has a colour, from 0 to 1. @param colour such as `#ffffff` */
  share(colour: string): number {
    const [red, green, blue] = Buffer.from(colour.slice(1), 'hex');
    let count = 0;
    for (let at = 0; at < this.#pixels.length; at += 3) {
      if (this.#pixels[at] === red && this.#pixels[at + 1] === green && this.#pixels[at + 2] === blue)
        count += 1;
    }
    return count / (this.#pixels.length / 3);
  }
}

/**
 * Waits until a machine's screen shows what is asked for.
 * @returns the last picture, whether it does or not
 */
export async function waitForScreen(
  machine: VirtualMachine,
  isThere: (screen: Screen) => boolean,
  { timeoutMs }: { timeoutMs: number },
): Promise<Screen | undefined> {
  await using directory = await TemporaryDirectory.create();
  const end = Date.now() + timeoutMs;
  let screen: Screen | undefined;
  for (let picture = 0; Date.now() < end; picture += 1) {
    const file = path.join(directory.path, `${picture}.ppm`);
    machine.saveScreen(file);
    // QEMU writes it beside us; one that is not there by then is read as the next.
    await sleep(PAUSE_MS);
    const ppm = await readFile(file).catch(() => Buffer.alloc(0));
    if (ppm.length === 0) continue;
    screen = new Screen(ppm);
    if (isThere(screen)) break;
  }
  return screen;
}
