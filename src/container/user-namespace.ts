import { readFileSync } from 'node:fs';
import { ImgbootError, errnoOf } from '../errors.ts';

/** A range of numbers inside, and where it begins outside. @see runtime-spec config-linux.md, "User namespace mappings" */
export interface IdMapping {
  containerID: number;
  hostID: number;
  size: number;
}

/** As many users and groups as an image usually has. */
const AUTO_SIZE = 65_536;
/** Where automatic ranges begin when the host has set none aside: past what systemd-nspawn and useradd give away. */
const AUTO_START = 0x7000_0000;
const AUTO_RANGES = 1000;

/** Whose ranges in /etc/subuid automatic mappings come from, as podman has it. */
const AUTO_OWNER = 'containers';

/**
 * `--userns`: `host` is the host's own; `auto` a range of 65,536 that no other container (`taken`) has, of those set
 * aside for the user `containers` in /etc/subuid, or from 1879048192 on; `map:CONTAINER:HOST:SIZE` that very range.
 * @throws IMGBOOT_USAGE
 */
export function parseUserNamespace(
  text: string,
  taken: readonly IdMapping[],
): { kind: 'host' } | { kind: 'mapped'; uids: IdMapping[]; gids: IdMapping[] } {
  if (text === 'host' || text === '') return { kind: 'host' };
  if (text === 'auto') {
    const hostID = freeRange(taken);
    const range = [{ containerID: 0, hostID, size: AUTO_SIZE }];
    return { kind: 'mapped', uids: range, gids: range };
  }
  const match = /^map:([0-9]+):([0-9]+):([0-9]+)$/.exec(text);
  if (match !== null && Number(match[3]) > 0) {
    const range = [{ containerID: Number(match[1]), hostID: Number(match[2]), size: Number(match[3]) }];
    return { kind: 'mapped', uids: range, gids: range };
  }
  throw new ImgbootError('IMGBOOT_USAGE', `not a user namespace: ${JSON.stringify(text)}`, {
    hint: '--userns is host, auto, or map:CONTAINER:HOST:SIZE, such as map:0:100000:65536',
  });
}

function freeRange(taken: readonly IdMapping[]): number {
  for (const { start, size } of [
    ...subordinateRanges(),
    { start: AUTO_START, size: AUTO_RANGES * AUTO_SIZE },
  ]) {
    for (let hostID = start; hostID + AUTO_SIZE <= start + size; hostID += AUTO_SIZE) {
      if (!taken.some((other) => other.hostID < hostID + AUTO_SIZE && hostID < other.hostID + other.size))
        return hostID;
    }
  }
  throw new ImgbootError('IMGBOOT_NO_FREE_IDS', 'every range of user IDs is taken by a container', {
    hint: 'remove containers that are not needed, or give a range with --userns map:0:HOST:SIZE',
  });
}

function subordinateRanges(): { start: number; size: number }[] {
  let text: string;
  try {
    text = readFileSync('/etc/subuid', 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
  return text
    .split('\n')
    .map((line) => line.split(':'))
    .filter(([owner]) => owner === AUTO_OWNER)
    .map(([, start, size]) => ({ start: Number(start), size: Number(size) }));
}
