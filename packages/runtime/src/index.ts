export * from './assert.ts';
export * from './clock.ts';
export * from './disk.ts';
export * from './group-by.ts';
export * from './network.ts';
export * from './random.ts';
export * from './runtime.ts';
export * from './store.ts';
