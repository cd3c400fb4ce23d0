export * from './config.ts';
export * from './definition.ts';
export * from './properties.ts';
export * from './suggestion.ts';
