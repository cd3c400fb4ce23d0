/** What the SDK says to the application's log; pino and `@naru/observability` fit as they are. */
export interface ClientLogger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

const ignore = (): void => {};
export const silentLogger: ClientLogger = { debug: ignore, info: ignore, warn: ignore, error: ignore };
