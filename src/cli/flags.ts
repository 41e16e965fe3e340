import { Flags } from './oclif.ts';
import { driverNames } from '../store/driver.ts';

/** For commands that may make the store. */
export const driverFlag = {
  driver: Flags.option({ options: driverNames })({
    summary: 'how a new store keeps layers; by default btrfs where the store is on btrfs, else overlay',
  }),
};

/** How skopeo reaches a registry. */
export const registryFlags = {
  creds: Flags.string({ summary: 'user and password for the registry', helpValue: 'USER:PASSWORD' }),
  authfile: Flags.file({ summary: 'the auth file, as podman login writes it' }),
  'tls-verify': Flags.boolean({
    summary: 'require HTTPS and verify certificates',
    default: true,
    allowNo: true,
  }),
};

/** The domain's names for the registry flags. */
export function registryOptions(flags: {
  creds?: string | undefined;
  authfile?: string | undefined;
  'tls-verify': boolean;
}): {
  creds: string | undefined;
  authfile: string | undefined;
  tlsVerify: boolean | undefined;
} {
  // skopeo's own default (registries.conf may allow plain HTTP) holds until the user says otherwise.
  return { creds: flags.creds, authfile: flags.authfile, tlsVerify: flags['tls-verify'] ? undefined : false };
}
