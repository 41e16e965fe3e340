import { describe, expect, it } from 'vitest';
import { renderExtlinux } from './extlinux.ts';
import { renderGrub } from './grub.ts';
import { checkKernelWords, splitKernelWords, unquoteKernelWord } from './kernel-words.ts';
import { loaderNames, type LoaderName, type Machine } from './machine.ts';
import type { BootEntry, LoaderPlan } from './plan.ts';
import { renderRefind } from './refind.ts';
import { renderSystemdBootEntry } from './systemd-boot.ts';
import { entryTemplate } from './template.ts';

const machine: Machine = {
  root: ['root=UUID=1-2', 'rootfstype=btrfs'],
  store: '/imgboot',
  storePath: '/imgboot',
  loader: 'grub',
  boot: { uuid: 'AB-CD', fstype: 'vfat' },
  directory: '/grub',
  owner: 'imgboot',
};

function entry(number: number, change: Partial<BootEntry> = {}): BootEntry {
  return {
    id: `imgboot-desktop-${number}`,
    title: `desktop:latest (desktop/${number})`,
    kind: 'version',
    order: String(number),
    kernel: `/imgboot/desktop-${number}/vmlinuz`,
    initrd: `/imgboot/desktop-${number}/initrd.img`,
    options: 'root=UUID=1-2 quiet',
    tries: number === 2 ? 3 : undefined,
    ...change,
  };
}

function plan(change: Partial<LoaderPlan> = {}): LoaderPlan {
  return {
    machine,
    entries: [entry(2), entry(1)],
    defaultId: 'imgboot-desktop-2',
    fallbackId: 'imgboot-desktop-1',
    counting: 'no',
    files: [],
    ...change,
  };
}

describe('the kernel command line', () => {
  it.each([
    ['a b  c', ['a', 'b', 'c']],
    ['a="b c" d', ['a="b c"', 'd']],
    ['"a=b c" d"e f"g', ['"a=b c"', 'd"e f"g']],
    [' a ', ['a']],
    ['', []],
  ])('%s has the words %j', (text, words) => {
    expect(splitKernelWords(text)).toEqual(words);
  });

  it.each([
    ['a="b c"', 'a=b c'],
    ['"a=b c"', 'a=b c'],
    ['"a"', 'a'],
    ['a"b"', 'a"b"'],
    ['a', 'a'],
  ])('the kernel takes %s for %s', (word, taken) => {
    expect(unquoteKernelWord(word)).toBe(taken);
  });

  it.each([
    ['quiet\nroot=/dev/sdb', loaderNames],
    ['a\u0000', loaderNames],
    ['sch\u00f6n', loaderNames],
    ['a="b', loaderNames],
    ['x'.repeat(3000), loaderNames],
    ['a=\\', ['grub']],
    ["a='b'", ['grub']],
    ['a"b"c', ['grub']],
  ] as const)('%j reaches it changed through %j', (text, refused) => {
    const codeFor = (loader: LoaderName): unknown => {
      try {
        checkKernelWords(text, loader);
        return undefined;
      } catch (error) {
        return (error as { code?: unknown }).code;
      }
    };
    const refusing = loaderNames.filter((loader) => codeFor(loader) === 'IMGBOOT_USAGE');
    expect(refusing).toEqual(refused);
  });
});

describe('an entry', () => {
  it('of systemd-boot', () => {
    expect(
      renderSystemdBootEntry(entryTemplate('systemd-boot.conf'), entry(2, { options: 'a="b $c" \\' })),
    ).toBe(
      `title desktop:latest (desktop/2)
version 2
sort-key imgboot
linux /imgboot/desktop-2/vmlinuz
initrd /imgboot/desktop-2/initrd.img
options a="b $c" \\
`,
    );
  });

  it('of extlinux, whose last DEFAULT counts', () => {
    expect(renderExtlinux(plan({ entries: [entry(2)] }))).toMatchInlineSnapshot(`
      "# Written by imgboot, which overwrites it: \`imgboot deployment ls\` shows what it is made of.
      DEFAULT imgboot-desktop-2

      LABEL imgboot-desktop-2
        MENU LABEL desktop:latest (desktop/2)
        LINUX /imgboot/desktop-2/vmlinuz
        INITRD /imgboot/desktop-2/initrd.img
        APPEND root=UUID=1-2 quiet
      "
    `);
  });

  it('of rEFInd, where a quote is two', () => {
    expect(renderRefind(plan({ entries: [entry(2, { options: 'a="b $c" \\' })] }))).toMatchInlineSnapshot(`
      "# Written by imgboot, which overwrites it: \`imgboot deployment ls\` shows what it is made of.
      default_selection "(desktop/2)"

      menuentry "desktop:latest (desktop/2)" {
          loader "\\imgboot\\desktop-2\\vmlinuz"
          initrd "\\imgboot\\desktop-2\\initrd.img"
          options "a=""b $c"" \\"
      }
      "
    `);
  });

  it('of GRUB, in single quotes, and without the double ones that GRUB adds', () => {
    expect(renderGrub(plan({ entries: [entry(2, { options: 'a="b $c" d' })] }))).toMatchInlineSnapshot(`
      "# Written by imgboot, which overwrites it: \`imgboot deployment ls\` shows what it is made of.
      set imgboot_default='imgboot-desktop-2'
      set fallback='imgboot-desktop-1'
      if [ "$boot_once" != "true" ]; then
        set default="$imgboot_default"
      fi

      menuentry 'desktop:latest (desktop/2)' --id 'imgboot-desktop-2' {
        search --no-floppy --set=root --fs-uuid 'AB-CD'
        linux '/imgboot/desktop-2/vmlinuz' 'a=b $c' 'd'
        initrd '/imgboot/desktop-2/initrd.img'
      }
      "
    `);
  });
});

describe('GRUB', () => {
  it('counts the boots of a default that is not yet found good, where it can write', () => {
    expect(renderGrub(plan({ counting: 'continue', entries: [entry(2)] }))).toMatchInlineSnapshot(`
      "# Written by imgboot, which overwrites it: \`imgboot deployment ls\` shows what it is made of.
      set imgboot_default='imgboot-desktop-2'
      set fallback='imgboot-desktop-1'
      search --no-floppy --set=imgboot_device --fs-uuid 'AB-CD'
      load_env -f "($imgboot_device)/grub/imgboot.env" imgboot_trying imgboot_tries
      if [ "$imgboot_trying" = 'desktop/2' -a "$imgboot_tries" = "0" ]; then
        set imgboot_default='imgboot-desktop-1'
      fi
      if [ "$boot_once" != "true" ]; then
        set default="$imgboot_default"
      fi

      menuentry 'desktop:latest (desktop/2)' --id 'imgboot-desktop-2' {
        if [ "$imgboot_trying" = 'desktop/2' ]; then
          if [ "$imgboot_tries" = "3" ]; then
            set imgboot_tries=2
          elif [ "$imgboot_tries" = "2" ]; then
            set imgboot_tries=1
          elif [ "$imgboot_tries" = "1" ]; then
            set imgboot_tries=0
          fi
          save_env -f "($imgboot_device)/grub/imgboot.env" imgboot_trying imgboot_tries
        fi
        search --no-floppy --set=root --fs-uuid 'AB-CD'
        linux '/imgboot/desktop-2/vmlinuz' 'root=UUID=1-2' 'quiet'
        initrd '/imgboot/desktop-2/initrd.img'
      }
      "
    `);
  });

  it.each([
    ['on btrfs', { boot: null, root: ['root=UUID=1', 'rootfstype=btrfs'] }, 'continue', false],
    ['on ext4', { boot: null, root: ['root=UUID=1', 'rootfstype=ext4'] }, 'continue', true],
    ['once it is good', {}, 'no', false],
  ] as const)('counts %s', (_, change, counting, counts) => {
    const text = renderGrub(
      plan({
        counting,
        machine: { ...machine, ...change, root: [...((change as { root?: string[] }).root ?? machine.root)] },
      }),
    );
    expect(text.includes('save_env')).toBe(counts);
    expect(text.includes('load_env')).toBe(counts);
  });

  it('finds no file system by a name that is neither a UUID nor a label', () => {
    const nameless = { ...machine, boot: null, root: ['root=/dev/sda2'] };
    expect(() => renderGrub(plan({ machine: nameless }))).toThrow(
      'GRUB cannot find a file system by root=/dev/sda2',
    );
  });
});
