import { describe, expect, it } from 'vitest';
import { imageName, referenceIn, type ImageName } from './transport.ts';

describe('the name of an image elsewhere', () => {
  it.each([
    ['debian:bookworm', 'docker://debian:bookworm'],
    ['docker://debian', 'docker://debian'],
    ['oci:/srv/layout:desktop', 'oci:/srv/layout:desktop'],
    ['dir:/srv/x', 'dir:/srv/x'],
    ['docker-daemon:x:1', 'docker-daemon:x:1'],
  ])('%s is %s to skopeo', (text, name) => {
    expect(imageName(text)).toBe(name);
  });

  it('a relative path is from here, where the user is', () => {
    expect(imageName('oci:layout:x')).toBe(`oci:${process.cwd()}/layout:x`);
  });

  it.each(['--help', 'x y', '$(x)', 'unknown://x'])('%j is refused', (text) => {
    expect(() => imageName(text)).toThrow(expect.objectContaining({ code: 'IMGBOOT_BAD_REFERENCE' }));
  });

  it.each([
    ['docker://registry.example:5000/x:1', 'registry.example:5000/x:1'],
    [`docker://x:1@sha256:${'a'.repeat(64)}`, 'x:1'],
    ['oci:/srv/layout:desktop:1', 'desktop:1'],
    ['oci:/srv/layout', undefined],
    ['dir:/srv/x', undefined],
    ['docker-archive:/srv/x.tar', undefined],
    ['containers-storage:[overlay@/var]localhost/x:1', 'localhost/x:1'],
  ])('%s carries the name %s', (name, reference) => {
    expect(referenceIn(name as ImageName)).toBe(reference);
  });
});
