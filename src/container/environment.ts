import type { ContainerRecord } from './record.ts';

/** What docker gives an image that has none. */
export const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** What the container's first process finds in its environment: what was given wins. */
export function environment(record: ContainerRecord, home: string): string[] {
  const defaults = {
    PATH: DEFAULT_PATH,
    HOSTNAME: record.hostname,
    HOME: home,
    container: 'oci',
    ...(record.terminal ? { TERM: 'xterm' } : {}),
    // What systemd makes a machine's ID of. @see systemd's container interface
    ...(record.boot ? { container_uuid: asUuid(record.id) } : {}),
  };
  const given = new Set(record.env.map((pair) => pair.slice(0, pair.indexOf('='))));
  const missing = Object.entries(defaults).filter(([name]) => !given.has(name));
  return [...missing.map(([name, value]) => `${name}=${value}`), ...record.env];
}

function asUuid(id: string): string {
  return id.slice(0, 32).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
