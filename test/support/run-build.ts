import { buildImage, type BuildRequest } from '../../src/build/build-image.ts';
import type { Image } from '../../src/store/image.ts';
import type { TestStore } from './test-store.ts';

/** What a test says of a build; the rest is as the command line has it by default. */
export type BuildWish = Partial<Omit<BuildRequest, 'context' | 'onLine'>> & {
  context: string;
  onLine?: BuildRequest['onLine'];
};

/** A build without the command line around it, which costs less. */
export async function build(store: TestStore, { context, ...wish }: BuildWish): Promise<Image> {
  return buildImage(store.store, {
    file: undefined,
    references: [],
    target: undefined,
    buildArgs: {},
    labels: {},
    secrets: [],
    network: 'default',
    platform: undefined,
    useCache: true,
    pull: false,
    squash: false,
    onError: 'fail',
    registry: { creds: undefined, authfile: undefined, tlsVerify: undefined },
    onLine: () => {},
    ...wish,
    context: { kind: 'directory', path: context },
  });
}
