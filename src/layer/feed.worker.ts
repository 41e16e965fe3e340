import { parentPort } from 'node:worker_threads';
import { errnoOf, errorMessage } from '../errors.ts';
import type { Compression } from './decompress.ts';
import { readBlob, type BlobFacts } from './read-blob.ts';
import { Ring } from './ring.ts';

// The other half of feed.ts: a thread that reads one blob after the other into a ring.

export interface FeedOrder {
  /** The blob, open; the process's descriptors are its threads'. */
  fd: number;
  compression: Compression;
  ring: SharedArrayBuffer;
}

export type FeedAnswer =
  { kind: 'facts'; facts: BlobFacts } | { kind: 'error'; message: string; code: string | undefined };

parentPort!.on('message', (order: FeedOrder) => void feed(order));
parentPort!.postMessage('ready');

async function feed({ fd, compression, ring: shared }: FeedOrder): Promise<void> {
  const ring = new Ring(shared);
  let answer: FeedAnswer;
  try {
    answer = { kind: 'facts', facts: await readBlob(fd, compression, ring) };
  } catch (error) {
    answer = { kind: 'error', message: errorMessage(error), code: errnoOf(error) };
  }
  // Whatever happened: nobody waits for ever.
  ring.end();
  parentPort!.postMessage(answer);
}
