import { createRequire } from 'node:module';
import type koffiModule from 'koffi';

type Koffi = typeof koffiModule;

let loaded: Koffi | undefined;

/**
 * The FFI, loaded at first use: `--help` and the commands that make no system call of ours start without it.
 */
export function loadKoffi(): Koffi {
  loaded ??= createRequire(import.meta.url)('koffi') as Koffi;
  return loaded;
}
