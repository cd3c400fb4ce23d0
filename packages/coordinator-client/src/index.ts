export * from './administration.ts';
export { defaultSessionTimeoutMs, openSession } from './client-session.ts';
export * from './session.ts';
