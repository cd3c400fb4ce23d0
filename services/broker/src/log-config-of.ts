import type { Logger } from '@naru/observability';
import type { ConfigOverrides } from './cluster/metadata-image.ts';
import { type LogConfig, logConfigDefinition } from './log/log-config.ts';

/**
 * A topic's configuration: the broker's defaults with what the topic overrides. The controller has checked the overrides; what this version does not
 * understand was written by another one, and the default stays in force for it.
 */
export function logConfigOf(defaults: LogConfig, overrides: ConfigOverrides, logger: Logger): LogConfig {
  const values: Record<string, unknown> = { ...defaults };
  for (const [name, value] of overrides) {
    try {
      if (logConfigDefinition.has(name)) values[name] = logConfigDefinition.parseValue(name, value);
    } catch (error) {
      logger.warn({ error, name, value }, 'a topic override cannot be used; the default stays in force');
    }
  }
  return values as LogConfig;
}
