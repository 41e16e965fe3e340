import { describe, expect, it } from 'vitest';
import { parseHooksStatus } from './hooks.ts';

describe('parseHooksStatus', () => {
  it('reads each state, and the files that are not as they should be', () => {
    expect(
      parseHooksStatus([
        'dracut: modified',
        '  missing: /usr/lib/a b',
        '  modified: /usr/lib/c: d',
        'initramfs-tools: absent',
        'mkinitcpio: absent (there is no such generator)',
      ]),
    ).toEqual([
      {
        generator: 'dracut',
        state: 'modified',
        files: [
          { path: '/usr/lib/a b', state: 'missing' },
          { path: '/usr/lib/c: d', state: 'modified' },
        ],
      },
      { generator: 'initramfs-tools', state: 'absent', hasGenerator: true, files: [] },
      { generator: 'mkinitcpio', state: 'absent', hasGenerator: false, files: [] },
    ]);
  });
});
