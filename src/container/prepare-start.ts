import { jobModule, prepareIsolated } from '../system/isolate.ts';

/** The job of a start, and what its process is to be. */
export const startJobModule = jobModule(import.meta.url, 'start.job');
export const startIsolation = { propagation: 'slave' } as const;

/**
 * Gets the process of the next start of this command ready.
 * @public bin/main.js calls it, before anything else is loaded
 */
export function prepareStart(): void {
  prepareIsolated(startJobModule, startIsolation);
}
