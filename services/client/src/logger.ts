/** What the SDK says to the application's log; pino and `@naru/observability` fit as they are. */
export interface ClientLogger {
  /** What helps who looks for a fault. */
  debug(fields: object, message: string): void;
  /** What happens rarely and is in order. */
  info(fields: object, message: string): void;
  /** What is not in order and was dealt with. */
  warn(fields: object, message: string): void;
  /** What nobody dealt with. */
  error(fields: object, message: string): void;
}

const ignore = (): void => {};
export const silentLogger: ClientLogger = { debug: ignore, info: ignore, warn: ignore, error: ignore };
