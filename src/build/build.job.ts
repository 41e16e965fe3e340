import type { Digest } from '../image/digest.ts';
import type { Descriptor } from '../image/manifest.ts';
import { Store } from '../store/store.ts';
import type { JobContext } from '../system/isolate.ts';
import { Builder } from './builder.ts';

/** A build, as plain data: what {@link buildImage} was asked for, with everything found. */
export interface BuildJob {
  store: string;
  /** A directory in the store's `tmp`. */
  scratch: string;
  /** The start of new layers' names in `layers`. */
  newLayerPrefix: string;
  /** The Dockerfile's text, and its name for messages. */
  dockerfile: { text: string; name: string };
  /** The directory that COPY and ADD read. */
  context: string;
  /** The ignore file's text, and its name for messages. */
  ignore: { text: string; name: string } | undefined;
  target: string | undefined;
  buildArgs: Record<string, string>;
  labels: Record<string, string>;
  secrets: ({ id: string; path: string } | { id: string; value: string })[];
  network: 'default' | 'none' | 'host';
  platform: string | undefined;
  useCache: boolean;
  pull: boolean;
  squash: boolean;
  onError: 'fail' | 'shell';
  /** Take every step from the cache, or throw CacheMiss: then nothing is mounted, pulled or run. */
  cachedOnly: boolean;
  /** Digests of the context's files that are known already; see ContentDigests. */
  digests: [string, string][];
  /** Who answers for the containers: a process outside, and its workspace. */
  owner: { pid: number; workspace: string };
  registry: { creds: string | undefined; authfile: string | undefined; tlsVerify: boolean | undefined };
}

export interface BuiltImage {
  /** The manifest's, with all blobs in place. */
  descriptor: Descriptor;
  /** The image ID. */
  id: Digest;
}

export async function runJob(job: BuildJob, context: JobContext): Promise<BuiltImage> {
  // What we make for the image has the modes that we say, whoever calls us.
  process.umask(0o022);
  const builder = new Builder(Store.open(job.store), job, context);
  return builder.build();
}
