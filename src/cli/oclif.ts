/** What commands need of oclif, by its parts: the whole of it takes a tenth of a second to load. */
export * as Args from '@oclif/core/args';
export * as Flags from '@oclif/core/flags';
