import type { PassedOver } from './part.ts';

/** What cannot work where there is no network; its failure says nothing. */
const needNetwork = [
  '*-wait-online.service',
  'networking.service',
  'ifup@*.service',
  'systemd-networkd-wait-online@*.service',
] as const;

export interface JudgedUnits {
  /** Those that count. */
  failed: string[];
  /** Those that do not, and why. */
  passedOver: PassedOver[];
}

/**
 * Which of the units that failed speak against a version. Pure.
 * @param request.allowed patterns as systemctl takes them, such as `smartd.service` or `nvidia-*`
 */
export function judgeUnits(
  units: readonly string[],
  request: { allowed: readonly string[]; passedOver: readonly PassedOver[] },
): JudgedUnits {
  const judged: JudgedUnits = { failed: [], passedOver: [] };
  for (const unit of units) {
    const known = request.passedOver.find((one) => one.unit === unit)?.why;
    const why =
      known ??
      (request.allowed.some((pattern) => matches(pattern, unit))
        ? 'it may fail (--gate-allow)'
        : needNetwork.some((pattern) => matches(pattern, unit))
          ? 'the gate has no network'
          : undefined);
    if (why === undefined) judged.failed.push(unit);
    else judged.passedOver.push({ unit, why });
  }
  return judged;
}

/** A pattern without a unit's type means services, as with systemctl. */
function matches(pattern: string, unit: string): boolean {
  const whole = /\.[a-z]+$/.test(pattern) ? pattern : `${pattern}.service`;
  const expression = whole
    .split('*')
    .map((piece) => piece.replaceAll(/[^A-Za-z0-9_]/g, '\\$&'))
    .join('.*');
  return new RegExp(`^${expression}$`, 's').test(unit);
}
