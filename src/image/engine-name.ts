import { lookupNames, parseReference } from './reference.ts';

/** The engines whose own stores images are taken from. */
export const engineNames = ['docker', 'podman'] as const;
export type Engine = (typeof engineNames)[number];

/**
 * An image in the store of another engine: `docker://desktop:latest`, `containers-storage:[overlay@/srv/images]desktop`.
 * The kernel command line has the same words. (To skopeo, and so to `pull`, `docker://` is a registry.)
 */
export interface EngineName {
  engine: Engine;
  /** `desktop:latest`, or the start of an image ID. */
  reference: string;
  /** Where that store is; undefined where its engine has it. @see containers-transports(5) */
  place: { root: string; driver: string | undefined } | undefined;
}

const DOCKER = 'docker://';
const PODMAN = 'containers-storage:';

/** Whether a text is meant as the name of an image in another engine's store. */
export function isEngineName(text: string): boolean {
  return text.startsWith(DOCKER) || text.startsWith(PODMAN);
}

/** Undefined for a plain reference. @throws IMGBOOT_BAD_REFERENCE */
export function parseEngineName(text: string): EngineName | undefined {
  if (text.startsWith(DOCKER)) {
    const reference = text.slice(DOCKER.length);
    return { engine: 'docker', reference: checked(reference), place: undefined };
  }
  if (!text.startsWith(PODMAN)) return undefined;
  const [, driver, root, reference = ''] =
    /^(?:\[(?:([a-z0-9]+)@)?(\/[^\]\n+]*)(?:\+[^\]]*)?\])?(.*)$/s.exec(text.slice(PODMAN.length)) ?? [];
  const place = root === undefined ? undefined : { root, driver };
  return { engine: 'podman', reference: checked(reference), place };
}

/** The name under which a store keeps an image that it took from another: with a tag. */
export function storedEngineName({ engine, reference, place }: EngineName): string {
  if (engine === 'docker') return `${DOCKER}${reference}`;
  const driver = place?.driver === undefined ? '' : `${place.driver}@`;
  return `${PODMAN}${place === undefined ? '' : `[${driver}${place.root}]`}${reference}`;
}

/** The names under which a store may have what is asked for, in order: as its engine reads short names. */
export function lookupEngineNames(name: EngineName): string[] {
  if (/^sha256:|@/.test(name.reference)) return [storedEngineName(name)];
  return lookupNames(parseReference(name.reference)).flatMap((reference) => {
    const familiar = reference.replace(/^docker\.io\/(library\/)?/, '');
    return [reference, familiar].map((one) => storedEngineName({ ...name, reference: one }));
  });
}

/** The reference without the engine: `desktop:latest`. A plain one stays what it is. @throws IMGBOOT_BAD_REFERENCE */
export function withoutEngine(text: string): string {
  return parseEngineName(text)?.reference ?? text;
}

/** An image ID is a reference by the looks of it, but for its algorithm. */
function checked(reference: string): string {
  if (!/^sha256:[0-9a-f]{12,64}$/.test(reference)) parseReference(reference);
  return reference;
}
