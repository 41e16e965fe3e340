import { Flags } from './oclif.ts';

/** Which top layer is meant. */
export const topLayerFlag = {
  'top-layer': Flags.string({
    summary:
      'a directory, or DEVICE[:PATH] as toplayer= takes it; by default the one that this system was booted with, or else /etc/imgboot/top',
    helpValue: 'DIR',
    env: 'IMGBOOT_TOP_LAYER',
  }),
};

/** What a top layer is looked at beside. */
export const rootFlag = {
  root: Flags.directory({ summary: 'a root file system in place of an image', exists: true }),
};
