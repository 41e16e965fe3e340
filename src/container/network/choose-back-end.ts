import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ImgbootError } from '../../errors.ts';
import { findProgram } from '../../system/requirements-check.ts';
import type { NetworkBackEnd } from './back-end.ts';
import { CniBackEnd, cniPlugins } from './cni.ts';
import { NetavarkBackEnd } from './netavark.ts';

/** Where distributions put the CNI plugins. */
const pluginDirectories = ['/usr/lib/cni', '/usr/libexec/cni', '/opt/cni/bin'];

/**
 * netavark, as podman has it; the CNI plugins where only those are installed, or where IMGBOOT_NETWORK_BACKEND asks
 * for them.
 * @throws IMGBOOT_NO_NETWORKS
 */
export async function chooseBackEnd(asked = process.env['IMGBOOT_NETWORK_BACKEND']): Promise<NetworkBackEnd> {
  if (asked !== undefined && asked !== '' && asked !== 'netavark' && asked !== 'cni')
    throw new ImgbootError('IMGBOOT_USAGE', `IMGBOOT_NETWORK_BACKEND is ${JSON.stringify(asked)}`, {
      hint: 'it is netavark or cni',
    });
  const wish = asked === '' ? undefined : asked;
  const netavark = await findProgram('netavark');
  const plugins = pluginDirectories.find((directory) =>
    cniPlugins.every((plugin) => existsSync(join(directory, plugin))),
  );
  const iptables = await findProgram('iptables');
  if (iptables !== undefined && netavark !== undefined && wish !== 'cni') {
    return new NetavarkBackEnd({
      program: netavark,
      nameServer: await findProgram('aardvark-dns'),
      reason: `${netavark} is installed`,
    });
  }
  if (iptables !== undefined && plugins !== undefined && wish !== 'netavark') {
    const reason = wish === 'cni' ? 'IMGBOOT_NETWORK_BACKEND asks for it' : 'netavark is not installed';
    return new CniBackEnd({ directory: plugins, reason });
  }
  const missing = [
    ...(iptables === undefined ? ['iptables'] : []),
    ...(wish === 'cni' ? ['the CNI plugins'] : wish === 'netavark' ? ['netavark'] : []),
    ...(wish === undefined && netavark === undefined && plugins === undefined
      ? ['netavark, and the CNI plugins in its place']
      : []),
  ];
  throw new ImgbootError(
    'IMGBOOT_NO_NETWORKS',
    `containers cannot have networks here: not installed: ${missing.join('; ')}`,
    { hint: 'imgboot doctor run --install; or run it with --network none or --network host' },
  );
}
