import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hookLibrary } from '../support/hook-shells.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';

const uuid = '11111111-1111-4111-8111-111111111111';

/** What a generator provides, for a boot that is not one. */
const port = `
host_info() { :; }
host_warn() { printf 'warning: %s\\n' "$1" >&2; }
host_die() { printf '%s\\n' "$1" >&2; exit 3; }
host_load_hardware() { :; }
host_load_module() { :; }
host_break() { :; }
`;

describe.each([
  ['dash', ['dash']],
  ['busybox ash', ['busybox', 'ash']],
  ['bash --posix', ['bash', '--posix']],
] as const)('what lies under a root, read under %s', (_, shell) => {
  let work: TemporaryDirectory;
  beforeAll(async () => {
    work = await TemporaryDirectory.create();
  });
  afterAll(async () => work[Symbol.asyncDispose]());

  async function run(
    script: string,
    ...args: string[]
  ): Promise<{ stdout: string; stderr: string; exitCode: number }> {
    const text = `set -u; imgboot_run=.; imgboot_work=work; imgboot_crypttab=etc-crypttab; imgboot_opens_layers=1
      imgboot_lib=$1; shift; ${port} . "$imgboot_lib/imgboot.sh"\n${script}`;
    const [program, ...flags] = shell;
    const { stdout, stderr, exitCode } = await execa(
      program,
      [...flags, '-c', text, 'sh', hookLibrary, ...args],
      {
        cwd: work.path,
        env: { LC_ALL: 'C' },
        reject: false,
      },
    );
    return { stdout, stderr, exitCode: exitCode! };
  }

  describe('LUKS', () => {
    const plan = async (words: string, crypttab = '', device = '/dev/vdz'): Promise<string> => {
      await writeFile(path.join(work.path, 'etc-crypttab'), crypttab);
      const script = `imgboot_parse_cmdline "$1"; : > devices
        if imgboot_luks_plan "$2" "$3"; then
          printf '%s|%s|%s|%s' "$imgboot_luks_name" "$imgboot_luks_key" "$imgboot_luks_keydev" "$imgboot_luks_flags"
        else printf no; fi`;
      return (await run(script, words, device, uuid)).stdout;
    };
    it.each([
      ['', '', `luks-${uuid}|||`],
      [`rd.luks.uuid=${uuid}`, '', `luks-${uuid}|||`],
      [`rd.luks.uuid=luks-1111`, '', `luks-${uuid}|||`],
      ['rd.luks.uuid=2222', '', 'no'],
      [`rd.luks.name=${uuid.toUpperCase()}=cave`, '', 'cave|||'],
      ['rd.luks.uuid=1111', `cave UUID=${uuid} none luks,discard`, 'cave|||luks,discard'],
      ['', `cave UUID=${uuid} /key luks`, 'cave|/key||luks'],
      ['', `cave /dev/disk/by-uuid/${uuid} /key:LABEL=stick tries=5`, 'cave|/key|LABEL=stick|tries=5'],
      ['', 'other UUID=2222 none luks', 'no'],
      ['rd.luks.crypttab=0', 'other UUID=2222 none luks', `luks-${uuid}|||`],
      ['rd.luks.key=/k', '', `luks-${uuid}|/k||`],
      ['rd.luks.key=/k:UUID=AB-CD', '', `luks-${uuid}|/k|UUID=AB-CD|`],
      ['rd.luks.key=/k:LABEL=s:UUID=2222 rd.luks.key=/l:LABEL=t:UUID=1111', '', `luks-${uuid}|/l|LABEL=t|`],
      ['rd.luks.options=discard,tries=1', '', `luks-${uuid}|||,discard,tries=1`],
      ['rd.luks.options=tries=1', '', `luks-${uuid}|||,tries=1`],
      [`rd.luks.options=${uuid}=discard`, '', `luks-${uuid}|||,discard`],
      ['rd.luks.options=22222222-1111-4111-8111-111111111111=discard', '', `luks-${uuid}|||`],
      ['rd.luks.allow-discards', '', `luks-${uuid}|||,discard`],
      ['rd.luks.name=1111=$(id)', '', `luks-${uuid}|||`],
    ])('%s with the crypttab "%s"', async (words, crypttab, planned) => {
      expect(await plan(words, crypttab)).toBe(planned);
    });

    it('options become those of cryptsetup, and nothing else does', async () => {
      const flags =
        'discard,no-read-workqueue,keyfile-size=32,key-slot=1,header=/h;reboot,tpm2-device=auto,luks';
      const { stdout, stderr } = await run(
        `imgboot_luks_name=x; tries=3; timeout=0; imgboot_luks_flags=$1; imgboot_luks_read_flags
        printf '%s|%s' "$imgboot_luks_arguments" "$imgboot_luks_key_arguments"`,
        flags,
      );
      expect(stdout).toBe(' --allow-discards --perf-no_read_workqueue --key-slot 1| --keyfile-size 32');
      expect(stderr.match(/is passed over/g)).toHaveLength(2);
    });
  });

  describe('a passphrase', () => {
    /** Prints what cryptsetup was given; people type "one", "two", "three"... */
    const stubs = `
      count=0
      imgboot_ask_passphrase() {
        count=$((count + 1))
        case $count in 1) imgboot_reply=first-secret ;; 2) imgboot_reply=second-secret ;; *) imgboot_reply=third-secret ;; esac
      }
      cryptsetup() {
        local typed=''
        IFS= read -r typed || :
        printf '%s %s\\n' "$*" "$typed" >> calls
        [ "$typed" = "$right" ]
      }
      : > calls; : > devices`;
    const unlock = async (right: string, script: string): ReturnType<typeof run> => {
      await writeFile(path.join(work.path, 'etc-crypttab'), '');
      return run(`right=$1 ${stubs}\n${script}`, right);
    };

    it('has three tries, and what opened one disk is tried on the next', async () => {
      const { stdout, stderr } = await unlock(
        'second-secret',
        `imgboot_luks_unlock /dev/vda aaaa; imgboot_luks_unlock /dev/vdb bbbb; cat calls`,
      );
      const base = 'open --type luks --key-file -';
      expect(stdout.split('\n')).toEqual([
        `${base} /dev/vda luks-aaaa first-secret`,
        `${base} /dev/vda luks-aaaa second-secret`,
        `${base} /dev/vdb luks-bbbb second-secret`,
      ]);
      expect(stderr).toMatch(
        /^warning: that passphrase does not open \/dev\/vda \(luks-aaaa\): .*; 2 more to try$/,
      );
    });

    it('that is wrong three times stops the boot', async () => {
      const { stderr, exitCode } = await unlock('none', 'imgboot_luks_unlock /dev/vda aaaa');
      expect(exitCode).toBe(3);
      expect(stderr).toContain('imgboot: unlocking /dev/vda (luks-aaaa): none of the passphrases opened it.');
      expect(stderr.match(/does not open/g)).toHaveLength(3);
    });

    it('is not shown by rd.debug', async () => {
      const { stderr } = await unlock('second-secret', 'set -x; imgboot_luks_unlock /dev/vda aaaa; : after');
      expect(stderr).toContain('+ : after');
      expect(stderr).not.toContain('secret');
    });
  });

  it('a UUID of md is the same with colons, dashes and capitals', async () => {
    const { stdout } = await run(
      'for u; do imgboot_md_uuid "$u"; printf "%s\\n" "$imgboot_reply"; done',
      'AB334455:66778899:aabbccdd:eeff0011',
      'ab334455-6677-8899-aabb-ccddeeff0011',
    );
    const [first, second] = stdout.split('\n');
    expect(first).toBe('ab33445566778899aabbccddeeff0011');
    expect(second).toBe(first);
  });

  describe('the kernel command line', () => {
    it.each([
      'rd.md.uuid=x;y',
      'rd.lvm.vg=-a',
      'rd.lvm.vg=a b'.replace(' ', '$'),
      'rd.lvm.lv=vg',
      'rd.luks.name=1111=a/b',
      'rd.luks.timeout=long',
      'rd.overlay=maybe',
      'rd.overlay=tmpfs:size=1;id',
      'rd.watchdog=soon',
      'rd.watchdog=99999',
      'fsck.mode=maybe',
      'fsck.repair=maybe',
      'resume_offset=x',
    ])('%s stops the boot', async (word) => {
      const { exitCode, stderr } = await run(
        'imgboot_parse_cmdline "root=/dev/vda $1"; imgboot_check_parameters',
        word,
      );
      expect(exitCode).toBe(3);
      expect(stderr).toContain(`imgboot: ${word} on the kernel command line: `);
    });

    it.each([
      ['rd.overlay', '1'],
      ['rd.overlay=1 rd.overlay=0', ''],
      ['rd.overlay=LABEL=over', 'LABEL=over'],
      ['rd.overlay=tmpfs:size=25%,nr_inodes=9', 'tmpfs:size=25%,nr_inodes=9'],
      ['rd.overlay.crypt=/dev/vdb', '1'],
    ])('%s', async (words, overlay) => {
      const { stdout } = await run('imgboot_parse_cmdline "$1"; printf %s "$imgboot_overlay"', words);
      expect(stdout).toBe(overlay);
    });

    it('an unknown word of dracut about layers is passed over, and that is said', async () => {
      const { stderr, exitCode } = await run(
        'imgboot_parse_cmdline "root=/dev/vda rd.luks.serial=1"; imgboot_check_parameters; imgboot_await_layers 0 30',
      );
      expect(exitCode).toBe(0);
      expect(stderr).toContain('since this initramfs does not know it: rd.luks.serial=1');
    });
  });

  it('of the options in fstab, mount gets those that are its', async () => {
    const options = async (words: string, given: string): Promise<string> =>
      (
        await run(
          'imgboot_parse_cmdline "$1"; imgboot_mount_options "$2"; printf %s "$imgboot_reply"',
          words,
          given,
        )
      ).stdout;
    expect(await options('ro', 'defaults,noatime,x-systemd.automount,nofail')).toBe('ro,noatime');
    expect(await options('rw', 'defaults,subvol=@usr')).toBe('rw,subvol=@usr');
    expect(await options('rw', 'ro')).toBe('ro');
    expect(await options('rw rd.overlay', 'rw')).toBe('ro');
  });

  it('an overlay is reset only where there was one', async () => {
    const make = async (name: string, ...directories: string[]): Promise<void> => {
      for (const directory of directories) {
        await mkdir(path.join(work.path, name, directory), { recursive: true });
      }
      await writeFile(path.join(work.path, name, 'overlay/file'), '');
    };
    await make('ours', 'overlay', 'ovlwork/work');
    await make('foreign', 'overlay');
    const reset = 'imgboot_overlay_reset=1; imgboot_reset_overlay "$1"; ls "$1"/overlay*';
    expect((await run(reset, 'ours')).stdout).toBe('');
    const kept = await run(reset, 'foreign');
    expect(kept.stdout).toContain('file');
    expect(kept.stderr).toContain('rd.overlay.reset is passed over');
  });
});
