import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The entry of boot-templates/ for a loader, without the comment that explains it. */
export function entryTemplate(name: string): string {
  const path = fileURLToPath(new URL(`../../boot-templates/${name}`, import.meta.url));
  return readFileSync(path, 'utf8').replace(/^(?:#.*\n)+/, '');
}

/**
 * Fills `${...}` in. A line that is nothing but a value which is empty goes; one of several lines keeps the indentation
 * of the place. What a value holds is not filled again. @throws Error for a name without a value
 */
export function fillTemplate(template: string, values: Readonly<Record<string, string>>): string {
  const value = (name: string): string => {
    const found = values[name];
    if (found === undefined) throw new Error(`the template has \${${name}}, which nothing fills`);
    return found;
  };
  return template
    .split('\n')
    .flatMap((line) => {
      const alone = /^(\s*)\$\{(\w+)\}$/.exec(line);
      if (alone === null) return [line.replaceAll(/\$\{(\w+)\}/g, (_, name: string) => value(name))];
      const text = value(alone[2]!);
      return text === '' ? [] : text.split('\n').map((part) => `${alone[1]}${part}`);
    })
    .join('\n');
}
