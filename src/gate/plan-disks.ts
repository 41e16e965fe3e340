import { ImgbootError } from '../errors.ts';
import type { Machine } from '../loader/machine.ts';
import { isMadeByBoot, needsToken, type CrypttabEntry } from './crypttab.ts';
import { parseDeviceSpec, type DeviceSpec } from './device-spec.ts';
import { isMountedAtBoot, isOptional, needsNetwork, optionValue, type FstabEntry } from './fstab.ts';
import { devicesOf, type HostDevice } from './host-devices.ts';
import { isMakeable } from './make-content.ts';
import type { Content, DiskPlan, LuksKey, Part } from './part.ts';
import { isTableable } from './partition-table.ts';
import { unitOfPath } from './unit-name.ts';

export interface PlanRequest {
  machine: Machine;
  /** Of the root file system that the boot makes. */
  fstab: readonly FstabEntry[];
  crypttab: readonly CrypttabEntry[];
  /** Where the top layer is on its device, and the directory of this machine that it is. */
  topLayer: { device: DeviceSpec; path: string; directory: string } | undefined;
  devices: readonly HostDevice[];
}

/** What none of the guest's disks can be called: its kernel gives these names itself. */
const GUEST_OWN = /^\/dev\/vd[a-z]/;

/**
 * The disks that a boot of this machine finds, of what the boot asks for: a device that this machine has not is none
 * that the gate has. Pure.
 * @throws IMGBOOT_GATE_CANNOT_IMITATE
 */
export function planDisks(request: PlanRequest): DiskPlan {
  return new DiskPlanner(request).plan();
}

class DiskPlanner {
  readonly #request: PlanRequest;
  readonly #parts = new Map<string, Part>();
  /** By the name in /dev/mapper. */
  readonly #opened = new Map<string, Part>();
  readonly #result: Omit<DiskPlan, 'parts'> = { missing: [], untested: [], passedOver: [] };

  constructor(request: PlanRequest) {
    this.#request = request;
  }

  plan(): DiskPlan {
    const { machine, topLayer, crypttab, fstab } = this.#request;
    this.#rootPart().content.holdsStore = true;
    for (const { uuid, fstype } of [machine.boot, machine.esp].filter((one) => one != null)) {
      const by = "the boot loader's file system";
      const part = this.#partOf({ tag: 'UUID', value: uuid }, { by, optional: true, type: fstype });
      // It is told that the boot was good; where it cannot be, that is no fault of the version.
      if (part === undefined)
        this.#result.passedOver.push({ unit: 'imgboot-bless.service', why: `${by} is not there` });
    }
    if (topLayer !== undefined) {
      const part = this.#partOf(topLayer.device, { by: 'the top layer', optional: false, type: undefined });
      part?.content.copies.push({ from: topLayer.directory, to: topLayer.path });
    }
    for (const entry of crypttab) this.#addOpened(entry);
    const mounted = fstab.filter((entry) => isMountedAtBoot(entry));
    for (const entry of mounted) this.#addMounted(entry);
    for (const entry of mounted) this.#addBound(entry, mounted);
    return { parts: [...this.#parts.values()], ...this.#result };
  }

  /** The one with the store: what the boot entry names is there, whatever this machine has. */
  #rootPart(): Part {
    const word = (key: string): string | undefined =>
      this.#request.machine.root.find((one) => one.startsWith(`${key}=`))?.slice(key.length + 1);
    const spec = parseDeviceSpec(word('root') ?? '');
    if (spec === undefined || 'path' in spec)
      throw cannotImitate(`root=${word('root') ?? ''}`, 'it is named by its path');
    const found = devicesOf(this.#request.devices, spec)[0];
    const tag = { UUID: 'uuid', LABEL: 'label', PARTUUID: 'partUuid', PARTLABEL: 'partLabel' } as const;
    const part = this.#take(
      found ?? { ...unknownDevice, type: word('rootfstype'), [tag[spec.tag]]: spec.value },
    );
    if (part.content.type === undefined || !isMakeable(part.content.type))
      throw cannotImitate('the store', `the gate cannot make a ${part.content.type}`);
    part.isPartition = spec.tag.startsWith('PART');
    const flags = { options: word('rootflags')?.split(',') ?? [] };
    const subvolume = subvolumeOf(flags, part.content);
    if (subvolume !== undefined) part.content.subvolumes.push(subvolume);
    return part;
  }

  /** The part that answers to a name; undefined where nothing of this machine does, or where it does not matter. */
  #partOf(
    spec: DeviceSpec,
    { by, optional, type }: { by: string; optional: boolean; type: string | undefined },
  ): Part | undefined {
    const found = devicesOf(this.#request.devices, spec)[0];
    if (found === undefined) return undefined;
    const why =
      'path' in spec && GUEST_OWN.test(spec.path)
        ? 'the virtual machine has another disk of that name'
        : found.type !== undefined && !isMakeable(found.type)
          ? `the gate cannot make a ${found.type}`
          : 'tag' in spec && spec.tag === 'PARTUUID' && !isTableable(spec.value)
            ? 'the gate makes no such partition'
            : undefined;
    if (why !== undefined) {
      if (!optional) throw cannotImitate(by, why);
      this.#result.untested.push(`${by}: ${why}`);
      return undefined;
    }
    const part = this.#take({ ...found, type: found.type ?? type });
    nameAs(part, spec);
    return part;
  }

  #take(device: HostDevice): Part {
    const key = keyOf(device);
    // What lies in a LUKS volume that the boot opens is there already.
    const inside = [...this.#opened.values()].find(
      ({ luks }) => device.insideOf !== undefined && luks?.host === device.insideOf,
    );
    const part = inside ?? this.#parts.get(key) ?? partOf(device);
    if (inside === undefined) this.#parts.set(key, part);
    return part;
  }

  #addOpened(entry: CrypttabEntry): void {
    const { name, device, source, options } = entry;
    const by = `/etc/crypttab: ${name}`;
    const optional = options.includes('nofail') || options.includes('noauto');
    if (device === undefined) {
      this.#result.untested.push(`${by}: ${source} is no device`);
      return;
    }
    const found = devicesOf(this.#request.devices, device)[0];
    if (found === undefined) {
      this.#result.missing.push({ file: '/etc/crypttab', source, target: name });
      return;
    }
    const isLuks = found.type === 'crypto_LUKS' && found.uuid !== undefined;
    if (!isLuks || isMadeByBoot(entry)) {
      if (isMadeByBoot(entry)) this.#partOf(device, { by, optional, type: undefined });
      else if (!optional) throw cannotImitate(by, `${source} is no LUKS volume`);
      return;
    }
    if (needsToken(entry)) this.#result.untested.push(`${by}: what opens it`);
    const open = this.#request.devices.find(({ insideOf }) => insideOf === found.path);
    // What the initramfs has opened on this machine, the gate has in the open: it need not be there twice.
    const inner = open !== undefined && this.#parts.has(keyOf(open)) ? undefined : open;
    const mounted = this.#request.fstab.find((one) => one.source === `/dev/mapper/${name}`);
    const type = inner?.type ?? mounted?.type;
    if (type === 'auto' && !optional)
      throw cannotImitate(by, 'it is closed, and nothing says what is in it: open it, and try again');
    if (type !== undefined && !isMakeable(type)) {
      if (!optional) throw cannotImitate(by, `the gate cannot make the ${type} in it`);
      this.#result.untested.push(`${by}: the gate cannot make the ${type} in it`);
      return;
    }
    const part: Part = {
      ...partOf(found),
      content: contentOf(inner ?? { ...unknownDevice, type: open === undefined ? type : undefined }),
      luks: { name, uuid: found.uuid!, key: luksKeyOf(entry), host: found.path },
      host: inner?.path,
    };
    nameAs(part, device);
    if (part.luks?.key === 'made-up') this.#result.untested.push(`${by}: its passphrase`);
    this.#parts.set(found.path, part);
    this.#opened.set(name, part);
  }

  #addMounted(entry: FstabEntry): void {
    const { device, source, target, type } = entry;
    if (needsNetwork(entry)) {
      this.#result.passedOver.push({ unit: unitOfPath(target, 'mount'), why: 'it needs a network' });
      return;
    }
    if (type === 'swap' && device === undefined && source.startsWith('/')) {
      this.#result.passedOver.push({
        unit: unitOfPath(source, 'swap'),
        why: 'it is a file on a disk of yours',
      });
      return;
    }
    if (device === undefined) return;
    const opened =
      'path' in device ? this.#opened.get(device.path.replace(/^\/dev\/mapper\//, '')) : undefined;
    const by = `/etc/fstab: ${type === 'swap' ? source : target}`;
    const part = opened ?? this.#partOf(device, { by, optional: isOptional(entry), type: undefined });
    if (part === undefined) {
      if (devicesOf(this.#request.devices, device).length === 0)
        this.#result.missing.push({ file: '/etc/fstab', source, target });
      return;
    }
    const subvolume = subvolumeOf(entry, part.content);
    if (subvolume !== undefined) part.content.subvolumes.push(subvolume);
  }

  /** What is bound from a directory of an empty disk needs that directory. */
  #addBound({ source, options }: FstabEntry, mounted: readonly FstabEntry[]): void {
    if (!options.includes('bind') && !options.includes('rbind')) return;
    const holders = mounted.filter(
      ({ target, device }) => device !== undefined && source.startsWith(`${target.replace(/\/$/, '')}/`),
    );
    const holder = holders.toSorted((a, b) => b.target.length - a.target.length)[0];
    if (holder === undefined || holder.target === '/') return;
    const device = holder.device!;
    const opened =
      'path' in device ? this.#opened.get(device.path.replace(/^\/dev\/mapper\//, '')) : undefined;
    const part = opened ?? this.#partOf(device, { by: holder.target, optional: true, type: undefined });
    const below = source.slice(holder.target.replace(/\/$/, '').length);
    const path = plainPath(`${optionValue(holder, 'subvol') ?? ''}/${below}`);
    if (path !== undefined) part?.content.directories.push(path);
  }
}

const unknownDevice: HostDevice = {
  path: '',
  type: undefined,
  uuid: undefined,
  label: undefined,
  partUuid: undefined,
  partLabel: undefined,
  insideOf: undefined,
};

function partOf(device: HostDevice): Part {
  return {
    content: contentOf(device),
    partUuid: device.partUuid,
    partLabel: device.partLabel,
    isPartition: false,
    luks: undefined,
    links: [],
    host: device.path === '' ? undefined : device.path,
  };
}

function contentOf({ type, uuid, label }: HostDevice): Content {
  return { type, uuid, label, subvolumes: [], directories: [], copies: [], holdsStore: false };
}

/** Several devices may be one btrfs. */
function keyOf({ type, uuid, path }: HostDevice): string {
  return type === 'btrfs' ? `btrfs ${uuid}` : path;
}

/** Makes it answer to a name, too. */
function nameAs(part: Part, spec: DeviceSpec): void {
  if (!('path' in spec)) part.isPartition ||= spec.tag.startsWith('PART');
  else if (!part.links.includes(spec.path)) part.links.push(spec.path);
}

function luksKeyOf({ key, options }: CrypttabEntry): LuksKey {
  if (key === undefined) return 'made-up';
  const number = (name: string): number | undefined => {
    const value = optionValue({ options }, name);
    return value === undefined ? undefined : Number(value);
  };
  return { file: key, offset: number('keyfile-offset') ?? 0, size: number('keyfile-size') };
}

function subvolumeOf(
  entry: Pick<FstabEntry, 'options'>,
  { type }: Content,
): Content['subvolumes'][number] | undefined {
  if (type !== 'btrfs') return undefined;
  const asked = optionValue(entry, 'subvol');
  const path = asked === undefined ? undefined : plainPath(asked);
  if (asked !== undefined && path === undefined) return undefined;
  const id = Number(optionValue(entry, 'subvolid') ?? Number.NaN);
  // 5 and 0 are the file system's own top.
  const ofOwn = Number.isInteger(id) && id > 5 ? id : undefined;
  if (path === undefined && ofOwn === undefined) return undefined;
  return path === '' ? undefined : { path: path ?? `subvolume-${ofOwn}`, id: ofOwn };
}

/**
 * A path below the top of a file system, without a slash at its ends; undefined where it leads out of it: an image's
 * fstab is no reason to make anything anywhere else.
 */
function plainPath(text: string): string | undefined {
  const parts = text.split('/').filter((part) => part !== '' && part !== '.');
  return parts.includes('..') ? undefined : parts.join('/');
}

function cannotImitate(what: string, why: string): ImgbootError {
  return new ImgbootError('IMGBOOT_GATE_CANNOT_IMITATE', `the gate has no disk for ${what}: ${why}`, {
    hint: 'name it by UUID=, or mark it nofail, where the system can do without it; or deploy without --gate',
  });
}
