import { expect, it } from 'vitest';
import { checkDeploymentName, nameOfImage } from './version-name.ts';

it.each([
  ['desktop', 'desktop'],
  ['desktop:1.2', 'desktop'],
  ['registry.example:5000/team/kiosk:stable', 'kiosk'],
  ['a__b', 'a__b'],
])('%s is deployed as %s', (reference, name) => {
  expect(nameOfImage({ reference, id: 'sha256:0' })).toBe(name);
});

it('an image without a name needs one', () => {
  expect(() => nameOfImage({ reference: undefined, id: 'sha256:0' })).toThrow(
    'the image sha256:0 has no name',
  );
});

it.each(['', '.', '..', '-a', 'A', 'a/b', 'a b', 'a\n', 'a%b', 'ä', 'a'.repeat(64)])(
  '%j is no name',
  (name) => {
    expect(() => checkDeploymentName(name)).toThrow('not a name for a deployment');
  },
);
