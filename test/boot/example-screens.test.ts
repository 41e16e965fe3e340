import { describe, expect, it, type TestContext } from 'vitest';
import type { Guest } from '../../src/boot/guest.ts';
import type { VirtualMachine } from '../../src/vm/virtual-machine.ts';
import { bootImage, quietConsole, type BootImage } from '../support/boot-fixtures.ts';
import { bootMachine } from '../support/boot-machine.ts';
import { makeExample } from '../support/example.ts';
import { genericTar } from '../support/fixtures.ts';
import { BOOT_MS } from '../support/guest-shell.ts';
import { waitForScreen, type Screen } from '../support/screen.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';

/** Emulated processors draw slowly: from the login prompt to a desktop. */
const DRAWN_MS = 240_000;

describe('examples with a screen are built from their Dockerfiles and boot', () => {
  it('the kiosk shows its page, over the whole screen', async (context) => {
    await using directory = await TemporaryDirectory.create();
    const base = await imageWithGraphics();
    await using guest = await makeExample('kiosk', { base, directory: directory.path });
    await using machine = await bootWithScreen(context, guest, 'login:');
    const page = (screen: Screen | undefined): number => screen?.share('#0a7d4b') ?? 0;
    const screen = await waitForScreen(machine, (now) => page(now) > 0.85, { timeoutMs: DRAWN_MS });
    expect(page(screen)).toBeGreaterThan(0.85);
  });

  it('the desktop of who logs in by the top layer', async (context) => {
    await using directory = await TemporaryDirectory.create();
    const base = await imageWithGraphics();
    await using guest = await makeExample('desktop', {
      base,
      directory: directory.path,
      topLayer: 'top-layer',
    });
    // The machine has its name from the top layer, too.
    await using machine = await bootWithScreen(context, guest, 'desk login:');
    const backdrop = (screen: Screen | undefined): number => screen?.share('#152233') ?? 0;
    const panels = (screen: Screen | undefined): number => screen?.share('#f6f5f4') ?? 0;
    const drawn = (now: Screen): boolean => backdrop(now) > 0.8 && panels(now) > 0.02;
    const screen = await waitForScreen(machine, drawn, { timeoutMs: DRAWN_MS });
    expect(backdrop(screen)).toBeGreaterThan(0.8);
    expect(panels(screen)).toBeGreaterThan(0.02);
  });
});

/** A Debian 12 as `imgboot bootstrap` makes it: the cloud kernel of the other tests drives no screen. */
async function imageWithGraphics(): Promise<BootImage> {
  return await bootImage('bookworm-generic', async () => [await genericTar()]);
}

async function bootWithScreen(context: TestContext, guest: Guest, prompt: string): Promise<VirtualMachine> {
  const machine = await bootMachine(context, {
    memoryBytes: 2 ** 31,
    cpus: 2,
    display: 'none',
    kernel: guest.kernel,
    initrd: guest.initrd,
    append: `${guest.commandLine} ${quietConsole}`,
    drives: [{ path: guest.disk, format: 'raw', access: 'write' }],
  });
  await machine.expect(prompt, { timeoutMs: BOOT_MS, unless: /Kernel panic.*|imgboot: .* To mend it: .*/ });
  return machine;
}
