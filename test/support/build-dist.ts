import { readdir, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { repository } from './paths.ts';

/** Builds dist/ where it is older than the sources: the tests run the command as users have it. */
export async function buildDist(): Promise<void> {
  const stamp = path.join(repository, 'dist/.built');
  if ((await newestChange(path.join(repository, 'src'))) < (await changed(stamp))) return;
  process.stderr.write('building dist ...\n');
  const startedMs = Date.now();
  const bin = (name: string): string => path.join(repository, 'node_modules/.bin', name);
  // tsc writes its output also where a type is wrong; npm run check is what refuses that.
  await execa(bin('tsc'), ['-p', 'tsconfig.build.json'], {
    cwd: repository,
    stdio: 'inherit',
    reject: false,
  });
  await execa(bin('oclif'), ['manifest'], { cwd: repository, stdout: 'ignore', stderr: 'inherit' });
  await writeFile(stamp, `${new Date(startedMs).toISOString()}\n`);
}

async function newestChange(directory: string): Promise<number> {
  let newest = await changed(directory);
  for (const entry of await readdir(directory, { recursive: true })) {
    if (entry.endsWith('.ts') && !entry.endsWith('.test.ts')) {
      newest = Math.max(newest, await changed(path.join(directory, entry)));
    }
  }
  return newest;
}

async function changed(file: string): Promise<number> {
  return stat(file).then(
    (found) => found.mtimeMs,
    () => 0,
  );
}
