import { describe } from 'vitest';
import { callCases } from './call-cases.ts';
import { connectionCases } from './connection-cases.ts';
import { hostilePeerCases } from './hostile-peer-cases.ts';
import { streamCases } from './stream-cases.ts';
import type { TransportWorld } from './transport-world.ts';

/** What every transport promises; both the simulated and the real one are held to it, or the simulation lies. */
export function transportContract(name: string, make: () => Promise<TransportWorld>): void {
  describe(`${name}: the transport contract`, () => {
    callCases(make);
    streamCases(make);
    connectionCases(make);
    hostilePeerCases(make);
  });
}
