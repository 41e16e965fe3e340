import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand } from '../../system/exec.ts';
import { runDirectory } from './run-directory.ts';

/** The tables that the back ends write to. */
const tables = ['nat', 'filter'] as const;

/** Chains of netavark and of the CNI plugins. */
const backEndChain = /^(?:NETAVARK|CNI)[-_]/;
/** Those of one network, or of one container: a hash. The others belong to all. */
const ownChain = /^(?:NETAVARK|CNI)-(?:DN-|SN-)?[0-9A-Fa-f]{13,}$/;

/** Changes of one table, as iptables-restore takes them. */
interface TableCommands {
  table: string;
  lines: string[];
}

/** The tables as iptables-save writes them, a rule a line. */
type Rules = Map<string, string[]>;

/**
 * Called before the first rule is added: remembers whether the chains that all networks share are there already. They
 * are then not ours to remove.
 */
export async function noteSharedChains(): Promise<void> {
  const rules = await readRules();
  const present = [...rules.values()].flat().some((line) => backEndChain.test(chainOf(line)));
  if (!present) writeFileSync(sharedChainsNote(), '', { mode: 0o600 });
}

/**
 * Removes the rules of the back ends' that speak of one of `words` (a container's ID, a network's subnet), with the
 * chains of their own that they lead to and those of `bridges` and `ports`; and the shared chains, where we brought
 * them and nobody is left who uses them. What the back ends have removed themselves is no matter.
 */
export async function purgeFirewall({
  words,
  bridges,
  ports,
}: {
  words: readonly string[];
  bridges: readonly string[];
  ports: readonly { bridge: string; containerId: string }[];
}): Promise<void> {
  const rules = await readRules();
  const commands: TableCommands[] = [];
  for (const table of tables) {
    const lines = rules.get(table) ?? [];
    const doomed = lines.filter((line) => isRule(line) && isBackEnds(line) && speaksOf(line, words));
    const present = lines.filter((line) => line.startsWith(':')).map(chainOf);
    const chains = new Set([
      ...doomed.flatMap((line) => [targetOf(line), chainOf(line)]).filter(isOwnChain),
      ...[...bridges.flatMap(netavarkChains), ...ports.flatMap(cniChains)].filter((chain) =>
        present.includes(chain),
      ),
    ]);
    const others = lines.filter((line) => isRule(line) && !doomed.includes(line));
    const unused = [...chains].filter((chain) => !others.some((line) => targetOf(line) === chain));
    commands.push({ table, lines: removal(doomed, unused) });
    rules.set(
      table,
      lines.filter((line) => !doomed.includes(line) && !unused.includes(chainOf(line))),
    );
  }
  const isLast = existsSync(sharedChainsNote()) && !areSharedChainsUsed(rules);
  if (isLast) {
    for (const [table, lines] of rules) {
      const chains = lines
        .filter((line) => line.startsWith(':'))
        .map(chainOf)
        .filter((chain) => backEndChain.test(chain));
      const jumps = lines.filter((line) => isRule(line) && chains.includes(targetOf(line)));
      // Apart from the above: nft takes a chain for busy that lost its last jump in the same transaction.
      commands.push({ table, lines: removal(jumps, chains) });
    }
  }
  await change(commands);
  if (isLast) rmSync(sharedChainsNote(), { force: true });
}

/** A network has chains of its own, or at least rules for its addresses in the shared ones. */
function areSharedChainsUsed(rules: Rules): boolean {
  const lines = [...rules.values()].flat();
  return lines.some(
    (line) => isOwnChain(chainOf(line)) || (isRule(line) && isBackEnds(line) && / -[sd] /.test(line)),
  );
}

function removal(rules: readonly string[], chains: readonly string[]): string[] {
  return [
    ...rules.map((line) => line.replace(/^-A /, '-D ')),
    ...chains.map((chain) => `-F ${chain}`),
    ...chains.map((chain) => `-X ${chain}`),
  ];
}

/** What netavark calls the chains of a network, which may be there without a rule. */
function netavarkChains(network: string): string[] {
  const hash = createHash('sha512').update(network).digest('hex').toUpperCase().slice(0, 13);
  return [`NETAVARK-${hash}`, `NETAVARK-DN-${hash}`];
}

/** CNI's chains have this many characters. @see containernetworking/plugins, pkg/utils/utils.go */
const CNI_CHAIN_LENGTH = 28;

/** What the CNI plugins call the chains of a container in a network, which may be there without a rule. */
function cniChains({ bridge, containerId }: { bridge: string; containerId: string }): string[] {
  const hash = createHash('sha512').update(`${bridge}${containerId}`).digest('hex');
  return ['', 'DN-', 'SN-'].map((kind) => `CNI-${kind}${hash}`.slice(0, CNI_CHAIN_LENGTH));
}

/** Whether netavark has told firewalld of a network, and would tell it of its end. */
export function isFirewalldRunning(): boolean {
  return readdirSync('/proc').some((name) => {
    if (!/^[0-9]+$/.test(name)) return false;
    try {
      return readFileSync(`/proc/${name}/comm`, 'utf8') === 'firewalld\n';
    } catch {
      // It has ended meanwhile.
      return false;
    }
  });
}

async function readRules(): Promise<Rules> {
  const { stdout } = await runCommand('iptables-save', []);
  const rules: Rules = new Map();
  let lines: string[] = [];
  for (const line of stdout.split('\n')) {
    if (line.startsWith('*')) rules.set(line.slice(1), (lines = []));
    else if (line.startsWith(':') || line.startsWith('-A ')) lines.push(line);
  }
  return rules;
}

/** Each of them all or nothing. */
async function change(commands: readonly TableCommands[]): Promise<void> {
  const parts = commands
    .filter(({ lines }) => lines.length > 0)
    .map(({ table, lines }) => [`*${table}`, ...lines, 'COMMIT', ''].join('\n'));
  if (parts.length === 0) return;
  await runCommand('iptables-restore', ['--noflush', '--wait'], { input: parts.join('') });
}

function isRule(line: string): boolean {
  return line.startsWith('-A ');
}

/** Of `:CHAIN POLICY` and `-A CHAIN ...`. */
function chainOf(line: string): string {
  return (line.startsWith(':') ? line.slice(1) : line.slice(3)).split(' ', 1)[0]!;
}

function targetOf(line: string): string {
  return / -[jg] (\S+)/.exec(line)?.[1] ?? '';
}

/** Whether a rule was made by a back end: it lies in one of their chains, or leads to one. */
function isBackEnds(line: string): boolean {
  return backEndChain.test(chainOf(line)) || backEndChain.test(targetOf(line));
}

function isOwnChain(chain: string): boolean {
  return ownChain.test(chain);
}

function speaksOf(line: string, words: readonly string[]): boolean {
  const parts = line.split(/[\s"'\\]+/);
  return words.some((word) => parts.includes(word));
}

function sharedChainsNote(): string {
  return join(runDirectory(), 'brought-chains');
}
