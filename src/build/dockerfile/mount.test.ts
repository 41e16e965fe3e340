import { describe, expect, test } from 'vitest';
import { readMount, resolveMount } from './mount.ts';

function resolve(text: string): object {
  return resolveMount(readMount(text), (word) => word.replace('$c', '/cache'));
}

describe('resolveMount', () => {
  test.each<[string, object]>([
    ['target=/a', { type: 'bind', target: '/a', readOnly: true, from: undefined, source: undefined }],
    ['type=bind,src=a,dst=/b,rw', { source: 'a', target: '/b', readOnly: false }],
    ['type=bind,target=/b,readonly=false', { readOnly: false }],
    ['from=build,source=/a,target=b', { from: 'build', source: '/a', target: 'b' }],
    ['type=cache,target=/a/', { type: 'cache', readOnly: false, id: '/a', sharing: 'shared' }],
    ['type=cache,target=$c/b', { target: '/cache/b', id: '/cache/b' }],
    [
      'type=cache,id=x,target=/a,sharing=locked,mode=0700,uid=1,gid=2',
      { id: 'x', sharing: 'locked', mode: 0o700 },
    ],
    ['type=tmpfs,target=/a,size=64m', { type: 'tmpfs', readOnly: false, sizeBytes: 67_108_864 }],
    ['type=secret,id=key', { type: 'secret', id: 'key', target: undefined, required: false, env: undefined }],
    ['type=secret,target=/run/x,required', { id: 'x', required: true, target: '/run/x' }],
    ['type=secret,id=key,env=KEY,uid=0', { env: 'KEY', uid: 0 }],
    ['type=ssh', { type: 'ssh', id: 'default' }],
    ['"target=/a,b",type=cache', { target: '/a,b' }],
    ['TYPE=Cache,target=/a', { type: 'cache' }],
  ])('%s', (text, expected) => {
    expect(resolve(text)).toMatchObject(expected);
  });

  test.each([
    ['type=tmpfs,from=x,target=/a', 'a tmpfs mount has no from'],
    ['type=bind,sharing=shared,target=/a', 'a bind mount has no sharing'],
    ['type=cache,size=1,target=/a', 'a cache mount has no size'],
    ['type=bind,uid=1,target=/a', 'a bind mount has no uid'],
    ['type=cache,required,target=/a', 'a cache mount has no required'],
    ['type=secret,id=a,src=b', 'a secret has an id or a source, not both'],
    ['type=secret', 'a secret lacks its id'],
    ['type=cache,target=/a,sharing=all', 'unknown sharing "all"'],
    ['type=cache,target=/a,mode=9', 'mode is an octal number, not "9"'],
    ['type=cache,target=/a,uid=x', 'uid is a number, not "x"'],
    ['type=tmpfs,target=/a,size=x', 'size is a number of bytes such as 64m, not "x"'],
    ['type=bind,target=/a,rw=maybe', 'rw is true or false, not "maybe"'],
    ['target', 'target lacks its value in --mount'],
    ['"target=/a', 'the quotes in --mount="target=/a do not match'],
  ])('%s is an error', (text, message) => {
    expect(() => resolve(text)).toThrow(message);
  });
});
