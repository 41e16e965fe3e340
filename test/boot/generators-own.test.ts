import { describe } from 'vitest';
import { describeConformance } from '../support/conformance.ts';

describe('our own initramfs', () => {
  describeConformance('own');
});
