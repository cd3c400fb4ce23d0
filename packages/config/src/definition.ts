/** One configuration key: what it may be, what it is when nobody says, and what it does. */
export type Setting =
  | { readonly type: 'string'; readonly default?: string; readonly oneOf?: readonly string[]; readonly doc: string }
  | { readonly type: 'boolean'; readonly default?: boolean; readonly doc: string }
  | {
      readonly type: 'list';
      readonly default?: readonly string[];
      /** With it the list has at least one item, and every item is one of these. */
      readonly oneOf?: readonly string[];
      readonly doc: string;
    }
  | {
      /** Whole numbers; `int` within 32 bits, `long` within what JavaScript counts exactly (2^53). */
      readonly type: 'int' | 'long';
      readonly default?: number;
      readonly min?: number;
      readonly max?: number;
      readonly doc: string;
    }
  | {
      readonly type: 'double';
      readonly default?: number;
      readonly min?: number;
      readonly max?: number;
      readonly doc: string;
    };

export type Settings = Readonly<Record<string, Setting>>;

type ValueOf<S extends Setting> = S extends { type: 'string'; oneOf: readonly (infer Choice)[] }
  ? Choice
  : S extends { type: 'string' }
    ? string
    : S extends { type: 'boolean' }
      ? boolean
      : S extends { type: 'list'; oneOf: readonly (infer Choice)[] }
        ? readonly Choice[]
        : S extends { type: 'list' }
          ? readonly string[]
          : number;

/** The parsed values by Kafka's names; a key without a default is undefined until it is given. */
export type ConfigValues<T extends Settings> = {
  readonly [Key in keyof T]: T[Key] extends { default: unknown } ? ValueOf<T[Key]> : ValueOf<T[Key]> | undefined;
};

/** What `parse` accepts for the definition `T`: dotted names or camelCase, values as themselves or as text. */
export type ConfigInput = Readonly<Record<string, unknown>>;

/** A key or value that cannot be used. The message is one line that says what is wrong and what would be right. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly key: string;

  constructor(key: string, message: string) {
    super(message);
    this.key = key;
  }
}
