import { resolve } from 'node:path';

/** Where a machine keeps the files that are its own, unless it says otherwise. */
export const DEFAULT_TOP_LAYER = '/etc/imgboot/top';

/** Where a top layer is: a directory of this machine, or one of a device's file system. Plain data. */
export type TopLayerPlace =
  | { kind: 'directory'; path: string }
  | {
      kind: 'device';
      /** `/dev/sda3`, `UUID=...`, `LABEL=...`, `PARTUUID=...`, `PARTLABEL=...` */
      device: string;
      /** From the file system's top; all of it when undefined. */
      path: string | undefined;
      fstype: string | undefined;
      /** Mount options, comma-separated. */
      flags: string | undefined;
    };

const DEVICE = /^(?:(?:UUID|LABEL|PARTUUID|PARTLABEL)=[^:]+|\/dev\/[^:]+)(?::(\/.*))?$/s;

/** A place as users write it: a directory, or `DEVICE[:PATH]`. Pure but for the working directory. */
export function parseTopLayerPlace(text: string): TopLayerPlace {
  const match = DEVICE.exec(text);
  if (match === null) return { kind: 'directory', path: resolve(text) };
  const path = match[1];
  const device = path === undefined ? text : text.slice(0, -path.length - 1);
  return { kind: 'device', device, path, fstype: undefined, flags: undefined };
}

/** The same, for people. */
export function showTopLayerPlace(place: TopLayerPlace): string {
  if (place.kind === 'directory') return place.path;
  return place.path === undefined ? place.device : `${place.device}:/${place.path.replace(/^\/+/, '')}`;
}
