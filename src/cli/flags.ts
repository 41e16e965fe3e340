import { Flags } from '@oclif/core';
import { driverNames } from '../store/driver.ts';

/** For commands that may make the store. */
export const driverFlag = {
  driver: Flags.option({ options: driverNames })({
    summary: 'how a new store keeps layers; by default btrfs where the store is on btrfs, else overlay',
  }),
};
