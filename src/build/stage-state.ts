import { nextChainId } from '../image/chain-id.ts';
import { digestOf, type ChainId, type DiffId, type Digest } from '../image/digest.ts';
import type { Config, Descriptor } from '../image/manifest.ts';
import type { Image } from '../store/image.ts';

/** A layer of a stage: of the base image, from the cache, or new. */
export interface StageLayer {
  descriptor: Descriptor;
  diffId: DiffId;
  chainId: ChainId;
  /** Its directory in the store's `layers` while the build runs: a new layer has its temporary name. */
  directory: string;
}

/** What a stage has come to after some of its instructions. */
export interface StageState {
  /** Of all that the state was made from: the cache's key. */
  key: Digest;
  /** Bottom first. */
  layers: StageLayer[];
  config: Config;
  /** The default shell of RUN, CMD and ENTRYPOINT in shell form. */
  shell: string[];
  /** How many of the layers came with the image that it all began with. */
  baseLayers: number;
  /** And how many entries of its history. */
  baseHistory: number;
  /** Whether a CMD of this build has set the command. */
  hasOwnCmd: boolean;
}

/** Docker's own default. */
const DEFAULT_SHELL = ['/bin/sh', '-c'];

/** A stage that begins with nothing. */
export function scratchState(platform: {
  os: string;
  architecture: string;
  variant?: string | undefined;
}): StageState {
  const { os, architecture, variant } = platform;
  const config: Config = {
    os,
    architecture,
    ...(variant === undefined ? {} : { variant }),
    config: {},
    rootfs: { type: 'layers', diff_ids: [] },
    history: [],
  };
  return {
    key: digestOf(JSON.stringify(['scratch', platform])),
    layers: [],
    config,
    shell: DEFAULT_SHELL,
    baseLayers: 0,
    baseHistory: 0,
    hasOwnCmd: false,
  };
}

/** A stage that begins with an image of the store. */
export function imageState(image: Image): StageState {
  const config = structuredClone(image.config);
  config.config ??= {};
  config.history ??= [];
  const layers = image.layers.map((layer) => ({
    descriptor: layer.descriptor,
    diffId: layer.diffId,
    chainId: layer.chainId,
    directory: layer.name,
  }));
  return {
    key: digestOf(JSON.stringify(['image', image.id])),
    layers,
    config,
    shell: config.config.Shell ?? DEFAULT_SHELL,
    baseLayers: layers.length,
    baseHistory: config.history.length,
    hasOwnCmd: false,
  };
}

/** A stage that begins with what another has come to. */
export function copyState(state: StageState): StageState {
  return {
    key: state.key,
    layers: [...state.layers],
    config: structuredClone(state.config),
    shell: [...state.shell],
    baseLayers: state.baseLayers,
    baseHistory: state.baseHistory,
    hasOwnCmd: state.hasOwnCmd,
  };
}

export function topChain(state: StageState): ChainId | undefined {
  return state.layers.at(-1)?.chainId;
}

/** Puts a layer on top. */
export function pushLayer(state: StageState, layer: Omit<StageLayer, 'chainId'>): void {
  state.layers.push({ ...layer, chainId: nextChainId(topChain(state), layer.diffId) });
}
