import { enableCompileCache } from 'node:module';
import { readFileSync } from 'node:fs';

// Not in /tmp, which is Node's default: who makes the directory first decides what we run. Our children use it, too.
const { HOME, NODE_COMPILE_CACHE, XDG_CACHE_HOME } = process.env;
const caches = process.getuid() === 0 ? '/var/cache' : XDG_CACHE_HOME || (HOME && `${HOME}/.cache`);
if (!NODE_COMPILE_CACHE && caches) process.env.NODE_COMPILE_CACHE = `${caches}/imgboot`;
if (process.env.NODE_COMPILE_CACHE) enableCompileCache(process.env.NODE_COMPILE_CACHE);

// Answered before oclif loads: people and scripts ask for the version often.
if (process.argv.length === 3 && process.argv[2] === '--version') {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  process.stdout.write(`imgboot/${version} ${process.platform}-${process.arch} node-${process.version}\n`);
} else {
  const { execute } = await import('@oclif/core/execute');
  // There are none, and where HOME is somebody else's, the look for them is a warning.
  const loadOptions = { userPlugins: false };
  await execute({ dir: import.meta.url, loadOptions, args: await ownArguments(process.argv.slice(2)) });
}

// oclif looks for --help in all of the arguments, and in those of a guest's command, too: these are set apart before.
async function ownArguments(argv) {
  const [verb, ...words] = argv;
  if (verb !== 'run' && verb !== 'exec') return argv;
  // What starts the container takes as long to be ready as all that comes before: they get ready together.
  if (verb === 'run' && words.length > 0 && process.getuid() === 0) {
    const { prepareStart } = await import('../dist/container/prepare-start.js');
    prepareStart();
  }
  const { guardGuestArguments } = await import('../dist/cli/guest-arguments.js');
  const { default: command } = await import(`../dist/commands/${verb}.js`);
  return [verb, ...guardGuestArguments(words, command.flags)];
}
