import type { Logger } from '@naru/observability';

/** A handler threw: a bug. The connection is closed and the log says why. */
export function unexpected(logger: Logger): (error: unknown, name: string) => void {
  return (error, api) => logger.error({ error, api }, 'a request failed unexpectedly');
}
