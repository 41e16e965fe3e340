import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import type { AttachedNetwork, Attachment } from './network-state.ts';

const BEGIN = '# Containers of the same networks, kept up to date by imgboot:';
const END = '# End of containers of the same networks.';

/**
 * Writes into the hosts files of containers whose networks have no name server who else is there. In place: a
 * container has the very file mounted.
 */
export function updateHostsFiles(attachments: readonly Attachment[]): void {
  for (const attachment of attachments) {
    const { hostsFile } = attachment;
    if (hostsFile === undefined || !existsSync(hostsFile)) continue;
    const others = attachments.filter(({ containerId }) => containerId !== attachment.containerId);
    const lines = attachment.networks
      .filter(({ hosts }) => hosts)
      .flatMap(({ network }) => others.flatMap((other) => linesOf(other, network)));
    const before = readFileSync(hostsFile, 'utf8');
    const after = withBlock(before, lines);
    if (after !== before) writeFileSync(hostsFile, after);
  }
}

function linesOf(attachment: Attachment, network: string): string[] {
  const here = ({ network: name }: AttachedNetwork): boolean => name === network;
  const names = [attachment.containerName, ...attachment.aliases, attachment.containerId.slice(0, 12)];
  return attachment.networks.filter(here).map(({ address }) => `${address}\t${names.join(' ')}`);
}

/** The text with these lines in the place of those of an earlier time. */
function withBlock(text: string, lines: readonly string[]): string {
  const all = text.split('\n');
  const [begin, end] = [all.indexOf(BEGIN), all.indexOf(END)];
  const own = begin >= 0 && end > begin ? [...all.slice(0, begin), ...all.slice(end + 1)] : all;
  const kept = own.join('\n').replace(/\n*$/, '\n');
  return lines.length === 0 ? kept : `${[kept.trimEnd(), BEGIN, ...lines, END].join('\n')}\n`;
}
