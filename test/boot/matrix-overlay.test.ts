import { describeBootMatrix } from '../support/boot-matrix.ts';

describeBootMatrix('ext4', 'overlay');
