import { Flags } from './oclif.ts';

/** Which of the writable layers that are kept is meant. */
export const rootFlags = {
  previous: Flags.boolean({
    summary: 'the ephemeral layer of the boot before',
    exclusive: ['layer'],
  }),
  layer: Flags.string({
    summary: 'a writable layer by its name in the store: ephemeral, ephemeral.4, persistent',
    helpValue: 'NAME',
  }),
};
