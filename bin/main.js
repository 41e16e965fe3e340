import { enableCompileCache } from 'node:module';
import { readFileSync } from 'node:fs';

enableCompileCache();

// Answered before oclif loads: people and scripts ask for the version often.
if (process.argv.length === 3 && process.argv[2] === '--version') {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  process.stdout.write(`imgboot/${version} ${process.platform}-${process.arch} node-${process.version}\n`);
} else {
  const { execute } = await import('@oclif/core');
  await execute({ dir: import.meta.url });
}
