/** A name in the module that a specifier names; `*` is the module itself. */
export interface Origin {
  readonly specifier: string;
  readonly name: string;
  /** A class exported so can be named, not made. */
  readonly isTypeOnly?: boolean;
}

interface Statement {
  readonly name: string;
  readonly text: string;
  readonly isExported: boolean;
  isKept: boolean;
}

interface ModuleClause {
  readonly kind: string;
  readonly type: string | undefined;
  readonly names: string;
  readonly specifier: string;
}

/** How the compiler begins a statement at the top of a declaration file; a comment before it belongs to it. */
const statementStart = /^(?:\/\*\*(?:(?!\*\/)[\s\S])*\*\/\s*)?(?:import|export|declare|interface|type)\b/gm;
const declared =
  /^(?<exported>export )?(?:declare )?(?:abstract )?(?:class|interface|type|function|const|let|namespace) (?<name>[\w$]+)/m;
const moduleClause =
  /^(?<kind>import|export) (?<type>type )?(?<names>\{[^}]*\}|\* as [\w$]+|\*) from ['"](?<specifier>[^'"]+)['"]/m;
const inlineImport = /\bimport\(['"]([^'"]+)['"]\)\.([\w$]+)/g;
const comments = /\/\*[\s\S]*?\*\//g;
const identifiers = /[\w$]+/g;

/** `new` is not for everybody: `@internal` says so, and what such a constructor takes is nobody's business. */
const internalConstructor =
  /\/\*\*(?:(?!\*\/)[\s\S])*@internal(?:(?!\*\/)[\s\S])*\*\/\s*constructor\((?:[^()]|\([^()]*\))*\);/g;

/** One declaration file as the compiler writes it, of which only what is asked for is kept. */
export class DeclarationFile {
  /** Everything that it exports is needed. */
  isWhole = false;
  /** Exported under this name, declared elsewhere. */
  readonly reexports = new Map<string, Origin>();
  /** Specifiers of `export * from`. */
  readonly stars: string[] = [];
  readonly #statements: Statement[] = [];
  readonly #imports = new Map<string, Origin>();
  readonly #usedImports = new Set<string>();

  constructor(text: string) {
    const whole = text.replace(internalConstructor, 'protected constructor();');
    const starts = [...whole.matchAll(statementStart)].map((match) => match.index);
    for (const [i, start] of starts.entries()) this.#add(whole.slice(start, starts[i + 1] ?? whole.length));
  }

  get exportedNames(): string[] {
    return this.#statements.filter((statement) => statement.isExported).map((statement) => statement.name);
  }

  declares(name: string): boolean {
    return this.#statements.some((statement) => statement.name === name && statement.isExported);
  }

  /** Keeps what has this name and whatever it mentions; returns the origins of what it mentions from elsewhere. */
  keep(name: string): Origin[] {
    const origins: Origin[] = [];
    for (const statement of this.#statements) {
      if (statement.name !== name || statement.isKept) continue;
      statement.isKept = true;
      const code = statement.text.replace(comments, '');
      for (const [, specifier, imported] of code.matchAll(inlineImport)) {
        origins.push({ specifier: specifier as string, name: imported as string });
      }
      for (const [mentioned] of code.matchAll(identifiers)) {
        const origin = this.#imports.get(mentioned);
        if (origin === undefined) {
          origins.push(...this.keep(mentioned));
        } else {
          origins.push(origin);
          this.#usedImports.add(mentioned);
        }
      }
    }
    return origins;
  }

  /** What was kept, as text; `place` says where an origin is now. */
  write(place: (origin: Origin) => Origin): string {
    const lines = [...this.#usedImports].map((local) => {
      const { specifier, name } = place(this.#imports.get(local) as Origin);
      return `import type ${name === '*' ? `* as ${local}` : `{ ${clause(name, local)} }`} from '${specifier}';\n`;
    });
    if (this.isWhole) {
      for (const [exported, origin] of this.reexports) {
        const { specifier, name } = place(origin);
        lines.push(
          `export ${origin.isTypeOnly ? 'type ' : ''}${name === '*' ? `* as ${exported}` : `{ ${clause(name, exported)} }`} from '${specifier}';\n`,
        );
      }
      for (const star of this.stars)
        lines.push(`export * from '${place({ specifier: star, name: '*' }).specifier}';\n`);
    }
    for (const { text, isKept } of this.#statements) {
      if (!isKept) continue;
      const moved = (_all: string, specifier: string, name: string): string => {
        const home = place({ specifier, name });
        return `import('${home.specifier}').${home.name}`;
      };
      lines.push(text.replace(inlineImport, moved));
    }
    return lines.join('');
  }

  #add(text: string): void {
    const code = text.replace(comments, '').trimStart();
    const clauseOf = moduleClause.exec(code)?.groups as ModuleClause | undefined;
    const found = declared.exec(code)?.groups;
    if (clauseOf !== undefined) {
      this.#addClause(clauseOf);
    } else if (found?.name !== undefined) {
      this.#statements.push({ name: found.name, text, isExported: found.exported !== undefined, isKept: false });
    } else if (!/^export \{\s*\};\s*$/.test(code)) {
      throw new Error(`no declaration is written like this: ${code}`);
    }
  }

  #addClause({ kind, type, names, specifier }: ModuleClause): void {
    const target = kind === 'import' ? this.#imports : this.reexports;
    if (names === '*') {
      this.stars.push(specifier);
    } else if (names.startsWith('*')) {
      target.set(names.slice('* as '.length), { specifier, name: '*' });
    } else {
      for (const [, own, name, local] of names.matchAll(/(type )?([\w$]+)(?: as ([\w$]+))?/g)) {
        const isTypeOnly = type !== undefined || own !== undefined;
        target.set(local ?? (name as string), { specifier, name: name as string, isTypeOnly });
      }
    }
  }
}

function clause(name: string, local: string): string {
  return name === local ? name : `${name} as ${local}`;
}
