import { type Logger as PinoLogger, pino } from 'pino';

/** What one log line is about; values are logged as JSON. */
export type LogFields = Readonly<Record<string, unknown>>;

/** A structured logger: fields first, then a constant message that can be searched for. */
export interface Logger {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
  /** A logger whose lines carry these fields too. */
  child(fields: LogFields): Logger;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

/**
 * Writes JSON lines with pino, to standard output or, with `file`, appending to that file. Synchronous: a process that is about to
 * end has written why. Errors under `error` are written with type, message and stack.
 */
export function createLogger(options: {
  readonly level?: LogLevel;
  readonly file?: string;
  readonly name?: string;
}): Logger {
  const destination = pino.destination({ dest: options.file ?? 1, sync: true, mkdir: true });
  const logger = pino(
    {
      level: options.level ?? 'info',
      base: options.name === undefined ? {} : { name: options.name },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: pino.stdSerializers.err },
    },
    destination,
  );
  return wrap(logger);
}

function wrap(logger: PinoLogger): Logger {
  return {
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
    child: (fields) => wrap(logger.child(fields)),
  };
}

/** Says nothing; for tests and for a client whose user gave no logger. */
export const silentLogger: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silentLogger,
};
