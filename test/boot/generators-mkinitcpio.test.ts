import { describe } from 'vitest';
import { describeConformance } from '../support/conformance.ts';

describe('an initramfs of mkinitcpio', () => {
  describeConformance('mkinitcpio');
});
