import { ImgbootError, errorMessage } from '../errors.ts';
import type { JobMessage, JobModule } from './isolate.ts';
import { dieWithParent } from './libc.ts';

// The other half of isolate.ts: a process that takes one job over IPC, answers, and ends.

dieWithParent();
// Its parent may have ended before the kernel was asked for that.
const parent = process.argv[3];
if (parent !== undefined && process.ppid !== Number(parent)) process.exit(1);
process.once('disconnect', () => process.exit(1));
// It is there by the time that the order comes; what is wrong with it shows then.
const loading = import(process.argv[2]!) as Promise<JobModule<unknown, unknown>>;
loading.catch(() => {});
process.once('message', (order: { job: unknown }) => void work(order));

async function work(order: { job: unknown }): Promise<void> {
  try {
    const module = await loading;
    const result = await module.runJob(order.job, {
      progress: (event) => void tell({ kind: 'progress', event }),
      say: (line) => void tell({ kind: 'line', line }),
    });
    await tell({ kind: 'result', result });
  } catch (error) {
    await tell({
      kind: 'error',
      code: error instanceof ImgbootError ? error.code : undefined,
      message: errorMessage(error),
      hint: error instanceof ImgbootError ? error.hint : undefined,
      stack: error instanceof Error ? error.stack : undefined,
    });
  }
  process.removeAllListeners('disconnect');
  process.disconnect();
}

async function tell(message: JobMessage): Promise<void> {
  await new Promise((resolve) => process.send!(message, resolve));
}
