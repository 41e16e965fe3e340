import { describe, expect, it } from 'vitest';
import { compareVersions } from './version-order.ts';

const signs = { '<': -1, '=': 0, '>': 1 } as const;

/** Of dpkg, the system tests ask dpkg; these are from rpm's and pacman's own tests, and from apk's. */
describe.each([
  [
    'rpm',
    `1.0 = 1.0
1.0 < 2.0
2.0.1 > 2.0
2.0.1a > 2.0.1
5.5p1 < 5.5p2
5.5p1 < 5.5p10
10xyz < 10.1xyz
xyz10 < xyz10.1
xyz.4 < 8
xyz.4 < 2
5.5p2 < 5.6p1
5.6p1 < 6.5p1
6.0.rc1 > 6.0
10b2 > 10a1
1.0aa > 1.0a
10.0001 = 10.1
10.0001 < 10.0039
4.999.9 < 5.0
20101121 < 20101122
2_0 = 2.0
a+ = a_
1.0~rc1 < 1.0
1.0~rc1 < 1.0~rc2
1.0~rc1~git123 < 1.0~rc1
1.0^ > 1.0
1.0^git1 < 1.0^git2
1.0^git1 < 1.01
1.0^20160101 < 1.0.1
1.0~rc1^git1 > 1.0~rc1
1.0^git1~pre < 1.0^git1
1.0-2 < 1.0-10
1:1.0 > 2.0`,
  ],
  [
    'pacman',
    `1.5.0 < 1.5.1
1.5 < 1.5.1
1.5.0-1 < 1.5.0-2
1.5-1 < 1.5.1-1
1.5b < 1.5
1.5b < 1.5.1
1.0a < 1.0alpha
1.0alpha < 1.0b
1.0b < 1.0beta
1.0beta < 1.0rc
1.0rc < 1.0
1.5.a > 1.5
1.5.b > 1.5.a
1.5.1 > 1.5.b
1.5-1 < 1.5.b-1
2.0 = 2_0
2.0_a = 2_0.a
2.0a < 2.0.a
2___a > 2_a
0:1.0 = 1.0
1:1.0 > 0:2.0
2.0.0-1 > 2.0-1`,
  ],
  [
    'apk',
    `2.34 > 0.1.0_alpha
0.1.0_alpha < 0.1.3_alpha
0.1.0_alpha2 > 0.1.0_alpha
2.2.39-r1 > 1.0.4-r3
1.0_p20050806 > 1.0
1.0_rc1 < 1.0
1.0_pre1 < 1.0_rc1
1.0_alpha < 1.0_beta
1.0a > 1.0
1.0a < 1.0b
1.2 < 1.10
1.05 < 1.1
1.0.1 > 1.0
1.2.3-r10 > 1.2.3-r9
1.2.3_git20200101 > 1.2.3
1.2.3~abc123-r1 > 1.2.3-r0`,
  ],
  [
    'dpkg',
    `1:1 > 2
1.0~rc1 < 1.0
1.0-1+b1 > 1.0-1
9.0.1378-2 < 9.1.0-1`,
  ],
] as const)('the versions of %s', (manager, table) => {
  it.each(table.split('\n').map((line) => line.split(' ') as [string, keyof typeof signs, string]))(
    '%s %s %s',
    (a, sign, b) => {
      expect(Math.sign(compareVersions(manager, a, b))).toBe(signs[sign]);
      expect(Math.sign(compareVersions(manager, b, a)) + signs[sign]).toBe(0);
    },
  );
});
