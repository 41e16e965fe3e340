import { bookwormTar, genericTar, kernelOf, minimalTar, subvolumesTar, trixieTar } from './fixtures.ts';
import { generatorsTar } from './generators.ts';
import { stackTar } from './stack-disks.ts';

// Makes what the tests share, before any of them waits for it under a time limit of its own.

await minimalTar();
await kernelOf(await bookwormTar());
await genericTar();
await kernelOf(await stackTar());
await trixieTar();
await generatorsTar();
await subvolumesTar();
