import { describe, expect, it } from 'vitest';
import type { Config } from '../image/manifest.ts';
import { changeConfig } from './change-config.ts';

const base: Config = {
  architecture: 'amd64',
  os: 'linux',
  config: { Env: ['PATH=/bin', 'A=1'], Cmd: ['old'], WorkingDir: '/srv', Labels: { a: 'b' } },
  rootfs: { type: 'layers', diff_ids: [] },
};

describe('changeConfig', () => {
  it('changes what lines of a Dockerfile say, and nothing of the original', () => {
    const changed = changeConfig(base, [
      'CMD ["sh", "-l"]',
      'ENV A=2 B="two words"',
      'ENV C=$B',
      'LABEL x=y',
      'WORKDIR app',
      'EXPOSE 80',
      'USER nobody',
      'VOLUME /data',
      'STOPSIGNAL SIGINT',
    ]);
    expect(changed.config).toEqual({
      Env: ['PATH=/bin', 'A=2', 'B=two words', 'C=two words'],
      Cmd: ['sh', '-l'],
      WorkingDir: '/srv/app',
      Labels: { a: 'b', x: 'y' },
      ExposedPorts: { '80/tcp': {} },
      User: 'nobody',
      Volumes: { '/data': {} },
      StopSignal: 'SIGINT',
    });
    expect(base.config?.Cmd).toEqual(['old']);
  });

  it('takes the command away with a new entry point, as a build does', () => {
    expect(changeConfig(base, ['ENTRYPOINT ["tini"]']).config).toMatchObject({ Entrypoint: ['tini'] });
    expect(changeConfig(base, ['ENTRYPOINT ["tini"]']).config).not.toHaveProperty('Cmd');
  });

  it.each([
    ['RUN true', 'IMGBOOT_USAGE'],
    ['COPY a /b', 'IMGBOOT_USAGE'],
    ['FROM scratch', 'IMGBOOT_USAGE'],
    ['', 'IMGBOOT_USAGE'],
    ['CMD true\nCMD false', 'IMGBOOT_USAGE'],
    ['NONSENSE', 'IMGBOOT_DOCKERFILE'],
  ])('refuses %j', (line, code) => {
    expect(() => changeConfig(base, [line])).toThrow(expect.objectContaining({ code }));
  });
});
