import { tmpdir } from 'node:os';
import path from 'node:path';

/** The top of the clone. */
export const repository = path.resolve(import.meta.dirname, '../..');

/** What is made once and kept between test runs; any of it may be deleted at any time. */
export const cacheDirectory = path.join(repository, '.cache');

/** What a run leaves for people to read, such as the consoles of failed boots. */
export const outDirectory = path.join(repository, 'out');

/**
 * How the names of our temporary directories begin: this, the id of the process that owns it, and a dash.
 * Only what carries it is ever swept.
 */
export const temporaryPrefix = path.join(tmpdir(), 'imgboot-test-');
