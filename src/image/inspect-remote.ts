import { runCommand } from '../system/exec.ts';
import { parseConfig, type Config } from './manifest.ts';
import {
  copyFailure,
  daemonHost,
  platformArguments,
  type ImageName,
  type RegistryOptions,
} from './transport.ts';

/** The config of an image elsewhere, for this machine's platform; none of its layers is fetched. @throws IMGBOOT_COPY_FAILED */
export async function inspectRemote(
  name: ImageName,
  options: RegistryOptions & { signal?: AbortSignal | undefined },
): Promise<Config> {
  const args = [
    ...platformArguments(options.platform),
    'inspect',
    '--config',
    '--raw',
    ...(options.creds === undefined ? [] : ['--creds', options.creds]),
    ...(options.authfile === undefined ? [] : ['--authfile', options.authfile]),
    ...(options.tlsVerify === undefined ? [] : [`--tls-verify=${options.tlsVerify}`]),
    ...(daemonHost(name) === undefined ? [] : ['--daemon-host', daemonHost(name)!]),
    name,
  ];
  try {
    const { stdout } = await runCommand('skopeo', args, { signal: options.signal });
    return parseConfig(Buffer.from(stdout), `the config of ${name}`);
  } catch (cause) {
    throw copyFailure(`cannot look at ${name}`, cause);
  }
}
