export { stream, unary } from './binding.ts';
export { codecOf, type GeneratedMessage } from './codec/codec.ts';
export { createRpc } from './create-rpc.ts';
export * from './definitions.ts';
export * from './messages.ts';
export * from './method.ts';
export * from './rpc.ts';
export * from './status.ts';
