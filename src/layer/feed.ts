import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { jobModule } from '../system/isolate.ts';
import type { FeedAnswer, FeedOrder } from './feed.worker.ts';
import type { BlobFacts, BlobOrder } from './read-blob.ts';
import { Ring } from './ring.ts';

/**
 * A thread that reads blobs, hashes and decompresses them, while this one applies what comes out: system calls and
 * hashing cost about the same. Dispose it; one serves any number of blobs, one after the other.
 */
export class BlobFeed implements AsyncDisposable {
  readonly #worker: Worker;
  readonly #ring = new Ring();

  private constructor(worker: Worker) {
    this.#worker = worker;
  }

  static async start(): Promise<BlobFeed> {
    const worker = new Worker(jobModule(import.meta.url, 'feed.worker'));
    // Its modules are loaded before anybody changes the root directory.
    await once(worker, 'message');
    return new BlobFeed(worker);
  }

  /**
   * Calls `use` with the plain bytes of the blob, piece by piece; they are lent. Synchronous until
   * the blob's end. After a failure of `use` nothing more can be read.
   */
  async read(order: BlobOrder, use: (bytes: Buffer) => void): Promise<BlobFacts> {
    this.#worker.postMessage({ ...order, ring: this.#ring.shared } satisfies FeedOrder);
    this.#ring.drain(use);
    const [answer] = (await once(this.#worker, 'message')) as [FeedAnswer];
    if (answer.kind === 'facts') return answer.facts;
    throw Object.assign(new Error(answer.message), { code: answer.code });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate();
  }
}
