import type { Store } from '../store/store.ts';
import { attachedNetworks } from './network/attach.ts';
import { describePort } from './network/port.ts';
import type { Container } from './record.ts';
import { containerState, type ContainerState } from './state.ts';

/** A container in a listing, with podman's names for what it tells. */
export interface ContainerSummary {
  Id: string;
  Names: string[];
  Image: string;
  ImageID: string;
  Command: string[];
  /** RFC 3339. */
  Created: string;
  State: ContainerState['status'];
  Pid: number;
  ExitCode: number;
  OOMKilled: boolean;
  StartedAt: string | null;
  FinishedAt: string | null;
  Ports: string[];
  Networks: string[];
  Labels: Record<string, string>;
  Mounts: string[];
}

export function summarizeContainer(store: Store, container: Container): ContainerSummary {
  const { record } = container;
  const state = containerState(container);
  const ports = state.pid === 0 ? undefined : attachedNetworks(store.paths, record.id)?.ports;
  return {
    Id: record.id,
    Names: [record.name],
    Image: record.image.reference ?? record.image.id,
    ImageID: record.image.id,
    Command: record.args,
    Created: record.created,
    State: state.status,
    Pid: state.pid,
    ExitCode: state.exitCode,
    OOMKilled: state.oomKilled,
    StartedAt: state.startedAt,
    FinishedAt: state.finishedAt,
    Ports: (ports ?? record.network.ports).map((port) => describePort(port)),
    Networks: record.network.names,
    Labels: record.labels,
    Mounts: record.mounts.map(({ target }) => target),
  };
}

const filterKeys = ['id', 'name', 'status', 'label', 'ancestor', 'exited', 'network', 'volume'] as const;

/** Whether a container is what `KEY=VALUE` filters ask for: any of a key's values, and all of the keys. */
export function matchesFilters(
  summary: ContainerSummary,
  filters: readonly [key: string, value: string][],
): boolean {
  const keys = new Set(filters.map(([key]) => key));
  return [...keys].every((key) =>
    filters.some(
      ([other, value]) => other === key && matches(summary, key as (typeof filterKeys)[number], value),
    ),
  );
}

export function isFilterKey(key: string): boolean {
  return (filterKeys as readonly string[]).includes(key);
}

function matches(summary: ContainerSummary, key: (typeof filterKeys)[number], value: string): boolean {
  switch (key) {
    case 'id':
      return summary.Id.startsWith(value);
    case 'name':
      return summary.Names.some((name) => name.includes(value));
    case 'status':
      return summary.State === value;
    case 'exited':
      return summary.State === 'exited' && String(summary.ExitCode) === value;
    case 'ancestor':
      return [summary.Image, summary.Image.replace(/:[^:/]*$/, ''), summary.ImageID].includes(value);
    case 'network':
      return summary.Networks.includes(value);
    case 'volume':
      return summary.Mounts.includes(value);
    case 'label': {
      const equals = value.indexOf('=');
      if (equals < 0) return value in summary.Labels;
      return summary.Labels[value.slice(0, equals)] === value.slice(equals + 1);
    }
  }
}
