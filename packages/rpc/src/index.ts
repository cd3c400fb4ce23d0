export * from './method.ts';
export * from './rpc.ts';
export * from './status.ts';
