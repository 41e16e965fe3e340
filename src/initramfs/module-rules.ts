import { ImgbootError } from '../errors.ts';
import { globExpression, normalPattern } from './glob.ts';
import type { KernelModule, ModuleIndex } from './module-index.ts';
import type { ModuleRule } from './module-request.ts';
import type { WantedModule } from './set-members.ts';

/** What --add and --omit decide about each module of a kernel. */
export class RuleBook {
  readonly #index: ModuleIndex;
  readonly #rules: { rule: ModuleRule; matches: (module: KernelModule) => boolean }[];
  readonly warnings: string[] = [];

  /** @throws IMGBOOT_NO_SUCH_MODULE where an --add matches nothing */
  constructor(index: ModuleIndex, rules: readonly ModuleRule[]) {
    this.#index = index;
    this.#rules = rules.map((rule) => ({ rule, matches: moduleMatcher(rule.pattern) }));
    for (const { rule, matches } of this.#rules) {
      if ([...index.modules].some(matches) || matchesBuiltin(index, rule.pattern)) continue;
      const message = `the kernel ${index.version} has no module that ${JSON.stringify(rule.pattern)} matches`;
      if (rule.verb === 'omit') this.warnings.push(`--omit: ${message}`);
      else {
        throw new ImgbootError('IMGBOOT_NO_SUCH_MODULE', message, {
          hint: "a pattern is of names ('e1000*') or, with a slash, of paths ('kernel/drivers/net/*')",
        });
      }
    }
  }

  omits(module: KernelModule): boolean {
    return this.#lastFor(module)?.verb === 'omit';
  }

  added(): WantedModule[] {
    if (this.#rules.length === 0) return [];
    return [...this.#index.modules].flatMap((module) => {
      const rule = this.#lastFor(module);
      return rule?.verb === 'add' ? [{ module, cause: `--add ${rule.pattern}` }] : [];
    });
  }

  #lastFor(module: KernelModule): ModuleRule | undefined {
    return this.#rules.findLast(({ matches }) => matches(module))?.rule;
  }
}

/** A pattern of names, in which `-` and `_` are one, or of paths with or without `.ko` and what follows. */
function moduleMatcher(pattern: string): (module: KernelModule) => boolean {
  if (!pattern.includes('/')) {
    const expression = globExpression(normalPattern(pattern));
    return ({ name }) => expression.test(name);
  }
  const expression = globExpression(pattern);
  return ({ path }) => expression.test(path) || expression.test(path.replace(/\.ko(\.\w+)?$/, ''));
}

function matchesBuiltin(index: ModuleIndex, pattern: string): boolean {
  const expression = globExpression(pattern.includes('/') ? pattern : normalPattern(pattern));
  return [...index.builtin].some(([name, path]) => expression.test(pattern.includes('/') ? path : name));
}
