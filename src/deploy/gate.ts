import type { Machine } from '../loader/machine.ts';
import type { Image } from '../store/image.ts';
import type { Store } from '../store/store.ts';
import type { OperationOptions } from '../system/progress.ts';
import type { NamedVersion } from './deployments.ts';

/** A version that has been made, and of which neither deployments.json nor the loader knows. */
export interface Candidate {
  version: NamedVersion;
  image: Image;
  machine: Machine;
  /** What the initramfs reads of it. */
  bootFile: string;
  /** The kernel command line of its boot entry. */
  options: string;
}

/** What was seen of a version that may become the default. */
export interface GateReport {
  accelerator: 'kvm' | 'tcg';
  /** From the machine's start to its target. */
  seconds: number;
  /** Units that failed, and why that does not count. */
  passedOver: { unit: string; why: string }[];
  /** What the boot says nothing about. */
  untested: string[];
  /** The steps of a test, where there was one. */
  steps: { name: string; seconds: number }[];
}

/** Tries a version before it becomes the default: fails where it is not to. */
export type Gate = (store: Store, candidate: Candidate, options: OperationOptions) => Promise<GateReport>;
