import { Flags } from './oclif.ts';
import type { Gate, GateReport } from '../deploy/gate.ts';
import { parseSize } from './size.ts';
import { printable } from './table.ts';

const group = { helpGroup: 'GATE', dependsOn: ['gate'] };

/** Whether a version is tried before it becomes the default, and how. */
export const gateFlags = {
  gate: Flags.boolean({
    summary: 'boot it in a virtual machine first; it becomes the default only if it reaches its target',
    helpGroup: 'GATE',
  }),
  'gate-test': Flags.file({ summary: 'a test file that it has to pass there, too', exists: true, ...group }),
  'gate-timeout': Flags.integer({
    summary: 'seconds that it has to reach its target (300)',
    min: 1,
    ...group,
  }),
  'gate-memory': Flags.string({ summary: "the virtual machine's memory (2G)", ...group }),
  'gate-allow': Flags.string({
    summary: 'a unit that may fail there, such as smartd.service; may be given again',
    helpValue: 'UNIT',
    multiple: true,
    multipleNonGreedy: true,
    ...group,
  }),
  'gate-copy': Flags.string({
    summary: 'how large a persistent directory may be to be copied for it (1G)',
    helpValue: 'SIZE',
    ...group,
  }),
};

/** The gate that is asked for; undefined for none. @throws IMGBOOT_USAGE, IMGBOOT_BAD_TEST */
export async function readGate(flags: {
  gate: boolean;
  'gate-test': string | undefined;
  'gate-timeout': number | undefined;
  'gate-memory': string | undefined;
  'gate-allow': string[] | undefined;
  'gate-copy': string | undefined;
}): Promise<Gate | undefined> {
  if (!flags.gate) return undefined;
  // Others need not wait for it.
  const { createGate } = await import('../gate/gate.ts');
  const { readTrial } = await import('../trial/read-trial.ts');
  const test = flags['gate-test'];
  return createGate({
    memoryBytes: parseSize(flags['gate-memory'] ?? '2G'),
    timeoutMs: (flags['gate-timeout'] ?? 300) * 1000,
    allowed: flags['gate-allow'] ?? [],
    copyBytes: parseSize(flags['gate-copy'] ?? '1G'),
    trial: test === undefined ? undefined : readTrial(test),
  });
}

/** What the gate saw, a line each. */
export function describeGate({ accelerator, seconds, steps, passedOver, untested }: GateReport): string[] {
  const tested = steps.length === 0 ? '' : `, and did the ${steps.length} steps of the test`;
  return [
    `It reached its target within ${seconds} s in a virtual machine (${accelerator})${tested}.`,
    ...passedOver.map(({ unit, why }) => `Failed there, and passed over: ${printable(unit)} (${why})`),
    ...untested.map((what) => `Not tested: ${printable(what)}`),
  ];
}
