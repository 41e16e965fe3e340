import { attachNetworks } from '../../src/container/network/attach.ts';
import { detachNetworks, sweepNetworks } from '../../src/container/network/detach.ts';
import { StorePaths } from '../../src/store/paths.ts';

// Attaches and detaches from within a network namespace that a test has made: node network-driver.ts VERB JSON

const [verb, json = '{}'] = process.argv.slice(2);
const { root, ...request } = JSON.parse(json) as { root: string };
const paths = new StorePaths(root);
const verbs: Record<string, (given: never) => Promise<unknown>> = {
  attach: attachNetworks,
  detach: detachNetworks,
  sweep: sweepNetworks,
};
try {
  const result = await verbs[verb!]!({ ...request, paths } as never);
  process.stdout.write(`${JSON.stringify(result ?? null)}\n`);
} catch (error) {
  const { code, message, hint } = error as { code?: string; message: string; hint?: string };
  process.stdout.write(`${JSON.stringify({ error: { code, message, hint } })}\n`);
  process.exitCode = 1;
}
