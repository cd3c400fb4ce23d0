import { ConfigError } from '@naru/config';

export interface ServiceArguments {
  /** Properties file. */
  readonly config: string | undefined;
  /** Settings over the file. */
  readonly overrides: Readonly<Record<string, string>>;
  /** Standard input is a pipe from the starter: its end means that the starter is gone. */
  readonly supervised: boolean;
  readonly help: boolean;
}

/** `--config FILE`, `--override key=value` or `--key=value`, `--supervised`, `--help`. Throws `ConfigError` with one line. */
export function parseArguments(argv: readonly string[]): ServiceArguments {
  const overrides: Record<string, string> = {};
  let config: string | undefined;
  let supervised = false;
  let help = false;
  const override = (text: string | undefined): void => {
    const match = /^([^=]+)=(.*)$/s.exec(text ?? '');
    if (match === null) throw new ConfigError('', '--override needs key=value');
    overrides[match[1] as string] = match[2] as string;
  };
  for (let i = 0; i < argv.length; i++) {
    const argument = argv[i] as string;
    if (argument === '--help' || argument === '-h') help = true;
    else if (argument === '--supervised') supervised = true;
    else if (argument === '--config') {
      config = argv[++i];
      if (config === undefined) throw new ConfigError('', '--config needs a file');
    } else if (argument.startsWith('--config=')) config = argument.slice('--config='.length);
    else if (argument === '--override') override(argv[++i]);
    else if (argument.startsWith('--override=')) override(argument.slice('--override='.length));
    else if (/^--[^=]+=/.test(argument)) override(argument.slice(2));
    else throw new ConfigError('', `unknown argument '${argument}'; see --help`);
  }
  return { config, overrides, supervised, help };
}
