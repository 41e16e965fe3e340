import { parentPort } from 'node:worker_threads';
import { errnoOf, errorMessage } from '../errors.ts';
import { readBlob, type BlobFacts, type BlobOrder } from './read-blob.ts';
import { Ring } from './ring.ts';

// The other half of feed.ts: a thread that reads one blob after the other into a ring.

export interface FeedOrder extends BlobOrder {
  ring: SharedArrayBuffer;
}

export type FeedAnswer =
  { kind: 'facts'; facts: BlobFacts } | { kind: 'error'; message: string; code: string | undefined };

parentPort!.on('message', (order: FeedOrder) => void feed(order));
parentPort!.postMessage('ready');

async function feed({ ring: shared, ...order }: FeedOrder): Promise<void> {
  const ring = new Ring(shared);
  let answer: FeedAnswer;
  try {
    answer = { kind: 'facts', facts: await readBlob(order, ring) };
  } catch (error) {
    answer = { kind: 'error', message: errorMessage(error), code: errnoOf(error) };
  }
  // Whatever happened: nobody waits for ever.
  ring.end();
  parentPort!.postMessage(answer);
}
