import type { Node } from 'yaml';
import { isMap, isScalar, isSeq } from 'yaml';
import { ImgbootError } from '../errors.ts';

/** Reads YAML nodes as what they are to be, and says the line where they are not. */
export class NodeReader {
  readonly #path: string;
  readonly #lineOf: (offset: number) => number;

  constructor(path: string, lineOf: (offset: number) => number) {
    this.#path = path;
    this.#lineOf = lineOf;
  }

  error(where: Node | number | undefined, what: string): ImgbootError {
    const offset = typeof where === 'number' ? where : (where?.range?.[0] ?? 0);
    return new ImgbootError('IMGBOOT_BAD_TEST', `${this.#path}:${this.#lineOf(offset)}: ${what}`, {
      hint: 'docs/test.md says what a test may have',
    });
  }

  /** The values of a mapping, by name; none of what is missing. Other names than those known are refused. */
  fields(node: Node | null | undefined, known: readonly string[], what: string): Map<string, Node> {
    const fields = new Map<string, Node>();
    if (node === undefined) return fields;
    if (!isMap(node)) throw this.error(node ?? undefined, `${what} is a mapping: ${known.join(', ')}`);
    for (const { key, value } of node.items) {
      const name = this.tryText(key as Node);
      if (name === undefined || !known.includes(name))
        throw this.error(
          key as Node,
          `${what} has no ${JSON.stringify(name)}; it may have ${known.join(', ')}`,
        );
      if (value !== null) fields.set(name, value as Node);
    }
    return fields;
  }

  list(node: Node | undefined, name: string): Node[] {
    if (isSeq(node)) return node.items as Node[];
    throw this.error(node, `${name} is a list`);
  }

  /** A scalar's text as it was written, numbers and yes or no included; undefined for what is no scalar. */
  tryText(node: Node): string | undefined {
    if (!isScalar(node) || node.value === null) return undefined;
    if (typeof node.value === 'string') return node.value;
    return node.source ?? JSON.stringify(node.value);
  }

  text(node: Node | undefined, name: string): string | undefined {
    if (node === undefined) return undefined;
    const text = this.tryText(node);
    if (text === undefined) throw this.error(node, `${name} is a text`);
    return text;
  }

  texts(node: Node, name: string): string[] {
    return this.list(node, name).map((one) => this.text(one, name)!);
  }

  /** A script for a shell, or a program and its arguments. */
  words(node: Node, name: string): string[] {
    const script = this.tryText(node);
    const words = script === undefined ? this.texts(node, name) : ['/bin/sh', '-c', script];
    const isEmpty = (script ?? words[0] ?? '').trim() === '';
    if (isEmpty || words.some((word) => word.includes('\0')))
      throw this.error(node, `${name} is a script, or a list of a program and its arguments`);
    return words;
  }

  number(node: Node | undefined, name: string): number | undefined {
    if (node === undefined) return undefined;
    if (isScalar(node) && typeof node.value === 'number') return node.value;
    throw this.error(node, `${name} is a number`);
  }

  boolean(node: Node | undefined, name: string): boolean | undefined {
    if (node === undefined) return undefined;
    if (isScalar(node) && typeof node.value === 'boolean') return node.value;
    throw this.error(node, `${name} is true or false`);
  }
}
