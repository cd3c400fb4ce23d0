import type { Runtime } from '../runtime.ts';

/**
 * A world that a contract is checked against, fresh for each test. The real one lets real time pass; the simulated one
 * drives virtual time. What is written against it must not know which one it is.
 */
export interface World {
  readonly runtime: Runtime;
  /** A host name under which the runtime's network can listen and be reached. */
  readonly host: string;
  /** An empty directory. */
  readonly directory: string;
  /** Lets time pass until the promise settles; returns its value or throws its error. */
  settle<Value>(promise: Promise<Value>): Promise<Value>;
  /** Lets this many milliseconds pass. */
  pass(durationMs: number): Promise<void>;
  dispose(): Promise<void>;
}

export type MakeWorld = () => Promise<World>;
