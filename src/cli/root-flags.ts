import type { RootChoice } from '../drift/kept-root.ts';
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

/** The domain's names for these flags. */
export function rootChoice(
  name: string | undefined,
  flags: { previous: boolean; layer: string | undefined },
): RootChoice {
  return { name, layer: flags.previous ? 'previous' : flags.layer };
}
