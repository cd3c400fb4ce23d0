export * from './arguments.ts';
export * from './run-service.ts';
