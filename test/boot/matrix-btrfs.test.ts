import { describeBootMatrix } from '../support/boot-matrix.ts';

describeBootMatrix('btrfs', 'btrfs');
