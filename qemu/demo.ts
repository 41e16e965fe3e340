import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { $, type ProcessPromise } from 'zx';
import { Console } from '../src/vm/console.ts';

// `npm run demo`, after demo.sh has installed and built what it needs. All that it makes is in one directory below
// out/, which goes when it ends, Ctrl-C or not.

const SUITE = 'bookworm';
const HOST_NAME = 'booted-from-an-image';
const WELCOME = 'This message, the host name and the login without a password come from the top layer.';

const repository = path.resolve(import.meta.dirname, '..');
const imgboot = path.join(repository, 'bin/imgboot');
const startedMs = Date.now();
const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort());

/** Our commands end with us, and tell failures themselves. */
const quietEnd = { signal: stop.signal, killSignal: 'SIGTERM', nothrow: true, quiet: true } as const;

await mkdir(path.join(repository, 'out'), { recursive: true });
const directory = await mkdtemp(path.join(repository, 'out/demo-'));
// The overlay driver, whatever the file system here: its store goes with a plain rm.
const store = ['--store', path.join(directory, 'store')];

let machine: ProcessPromise | undefined;
try {
  await demo();
} catch (error) {
  if (stop.signal.aborted) process.exitCode = 130;
  else {
    process.stderr.write(`demo: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
} finally {
  // Whatever still runs ends before its files go.
  stop.abort();
  await machine;
  await rm(directory, { recursive: true, force: true });
}

async function demo(): Promise<void> {
  title(`An image of Debian ${SUITE}, from Debian's archive`);
  await run(['bootstrap', SUITE, ...store, '--driver', 'overlay', '--kernel', 'cloud']);

  title("The README's Dockerfile, built on it");
  const context = path.join(directory, 'context');
  await mkdir(context);
  await writeFile(path.join(context, 'Dockerfile'), await readmeDockerfile());
  await run(['build', '--tag', 'demo', '--check-boot', ...store, context]);
  await run(['images', ...store]);

  title('Its initramfs, for any machine');
  await run(['mkinitramfs', 'demo', ...store, '--output', path.join(directory, 'initrd.img')]);

  title("This machine's own files: the top layer");
  await makeTopLayer(path.join(directory, 'top'));
  await $({ stdio: ['ignore', 2, 2] })`find ${path.join(directory, 'top')} -type f -printf ${'  %P\n'}`;

  title('The machine');
  await bootAndLook();
  title(`Done in ${Math.round((Date.now() - startedMs) / 1000)} s. Yours: imgboot bootstrap, imgboot qemu`);
}

/** The Dockerfile that the README shows. */
async function readmeDockerfile(): Promise<string> {
  const readme = await readFile(path.join(repository, 'README.md'), 'utf8');
  const [, dockerfile] = /```dockerfile\n([^]*?)```/.exec(readme) ?? [];
  if (dockerfile === undefined) throw new Error('the README has no Dockerfile');
  return dockerfile;
}

async function makeTopLayer(top: string): Promise<void> {
  await mkdir(path.join(top, 'etc'), { recursive: true });
  await writeFile(path.join(top, 'etc/hostname'), `${HOST_NAME}\n`);
  await writeFile(path.join(top, 'etc/motd'), `\n  ${WELCOME}\n\n`);
  // Account files merge by name: only root's line is replaced.
  await writeFile(path.join(top, 'etc/shadow'), 'root::19000:0:99999:7:::\n', { mode: 0o640 });
}

/** Boots the image, logs in, has the boot report shown, and powers the machine off. */
async function bootAndLook(): Promise<void> {
  // The kernel's own messages stay in its log; systemd's tell enough of a story.
  const args = [
    'qemu',
    'demo',
    ...store,
    '--top-layer',
    path.join(directory, 'top'),
    '--append',
    'loglevel=3',
  ];
  show(args);
  machine = $({ ...quietEnd, stdio: ['pipe', 'pipe', 'pipe'] })`${imgboot} ${args}`;
  const screen = new Console();
  for (const stream of [machine.stdout, machine.stderr]) {
    stream.on('data', (bytes: Buffer) => {
      process.stderr.write(bytes);
      screen.append(bytes);
    });
  }
  void machine.exitCode.then((status) => screen.end(`exit status ${status}`));
  const expect = async (text: string | RegExp, seconds: number): Promise<string> =>
    screen.expect(text, {
      timeoutMs: seconds * 1000,
      signal: stop.signal,
      unless: /Kernel panic.*/,
    });
  await expect(`${HOST_NAME} login:`, 240);
  machine.stdin.write('root\n');
  await expect(`root@${HOST_NAME}:`, 60);
  machine.stdin.write('exec 3<>/dev/tcp/127.0.0.1/80; printf "GET / HTTP/1.0\\r\\n\\r\\n" >&3; cat <&3\n');
  await expect('<h1>Booted from a container image</h1>', 30);
  machine.stdin.write('cat /run/imgboot/boot.json\n');
  await expect(/^\}\n.*# /m, 30);
  machine.stdin.write('systemctl poweroff\n');
  await machine;
}

/** Runs a command of ours to its end, its words on our terminal. */
async function run(args: readonly string[]): Promise<void> {
  show(args);
  const { exitCode } = await $({ ...quietEnd, stdio: ['ignore', 2, 2] })`${imgboot} ${args}`;
  stop.signal.throwIfAborted();
  if (exitCode !== 0) throw new Error(`imgboot ${args[0]} ended with status ${exitCode}`);
}

function show(args: readonly string[]): void {
  process.stderr.write(`$ imgboot ${args.join(' ').replaceAll(`${repository}/`, '')}\n`);
}

function title(text: string): void {
  process.stderr.write(`\n== ${text}\n`);
}
