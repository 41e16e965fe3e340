import { Flags } from './oclif.ts';
import type { DeployRequest } from '../deploy/deploy.ts';
import { topLayerWords } from '../deploy/top-layer.ts';
import { Contents } from '../initramfs/contents.ts';
import { DEFAULT_MODULES, parseModuleSelection } from '../initramfs/module-request.ts';
import { loaderNames } from '../loader/machine.ts';
import type { Store } from '../store/store.ts';

const repeated = { multiple: true, multipleNonGreedy: true, default: [] as string[] } as const;

/** What a version is booted with. */
export const bootFlags = {
  writable: Flags.string({
    summary: 'what becomes of writes: ephemeral, persistent, ram[:size=SIZE]; the menu has the others, too',
    default: 'ephemeral',
  }),
  append: Flags.string({
    summary: 'further words for the kernel command line; may be given again',
    ...repeated,
  }),
  'top-layer': Flags.string({
    summary: "this machine's own files: a directory, or DEVICE[:PATH] as toplayer= takes it",
    helpValue: 'DIR',
  }),
  persist: Flags.string({
    summary: 'a directory that outlives upgrades, seeded from the image once; may be given again',
    helpValue: 'PATH[,PATH]',
    ...repeated,
  }),
};

/** What the initramfs is made of. */
export const moduleFlags = {
  modules: Flags.string({
    summary: 'what hardware the initramfs serves, as mkinitramfs --modules takes it',
    default: DEFAULT_MODULES,
  }),
  kver: Flags.string({ summary: 'the kernel version, where the image has several' }),
};

/** Where to look for the boot loader. */
export const findFlags = {
  loader: Flags.option({ options: loaderNames })({
    summary: 'the boot loader, where several are there or it has no configuration yet',
  }),
  'boot-dir': Flags.directory({
    summary: 'where the file system that the boot loader reads is mounted: /boot, the ESP',
    aliases: ['esp'],
    exists: true,
  }),
};

/** The domain's names for these flags. @throws IMGBOOT_USAGE */
export async function readBootFlags(
  store: Store,
  flags: {
    writable: string;
    append: string[];
    'top-layer': string | undefined;
    persist: string[];
    modules: string;
    kver: string | undefined;
    loader: string | undefined;
    'boot-dir': string | undefined;
  },
): Promise<
  Pick<DeployRequest, 'writable' | 'append' | 'topLayer' | 'persist' | 'modules' | 'kver' | 'find'>
> {
  const top = flags['top-layer'];
  return {
    writable: flags.writable,
    append: flags.append,
    topLayer: top === undefined ? [] : await topLayerWords(store, top),
    persist: flags.persist.flatMap((text) => text.split(',')),
    modules: parseModuleSelection(flags.modules, new Contents()),
    kver: flags.kver,
    find: { loader: flags.loader, boot: flags['boot-dir'] },
  };
}
