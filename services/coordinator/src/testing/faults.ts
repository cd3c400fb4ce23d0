import type { SimulatedQuorum } from './simulated-quorum.ts';

export type Fault =
  | 'crash-leader'
  | 'isolate-leader'
  /** Its clients still reach it and believe in it. */
  | 'cut-leader-from-peers'
  | 'pause-leader'
  | 'power-loss-of-all'
  | 'reset-connections';

export const faults: readonly Fault[] = [
  'crash-leader',
  'isolate-leader',
  'cut-leader-from-peers',
  'pause-leader',
  'power-loss-of-all',
  'reset-connections',
];

/** One fault now, and its end some time later. Returns after how many milliseconds everything runs again. */
export function inject(quorum: SimulatedQuorum, fault: Fault): number {
  const { sim, leader } = quorum;
  const lastsMs = 500 + sim.random.nextInt(4_000);
  sim.trace(`fault ${fault}, leader ${leader}, for ${lastsMs} ms`);
  if (leader === 0 && fault !== 'power-loss-of-all') return 0;
  switch (fault) {
    case 'crash-leader':
      quorum.crash(leader);
      sim.at(lastsMs, () => quorum.restartSoon(leader));
      return lastsMs;
    case 'isolate-leader':
      sim.network.isolate(`c${leader}`);
      sim.at(lastsMs, () => sim.network.healAll());
      return lastsMs;
    case 'cut-leader-from-peers':
      for (const id of quorum.ids) if (id !== leader) sim.network.cut(`c${leader}`, `c${id}`);
      sim.at(lastsMs, () => sim.network.healAll());
      return lastsMs;
    case 'pause-leader':
      // Some clients find the new leader; the others ask the sleeping one, which must not answer them from its old state.
      quorum.host(leader).pause();
      for (const { name } of sim.nodes)
        if (sim.random.nextInt(2) === 0) sim.network.resetConnections(`c${leader}`, name);
      sim.at(lastsMs, () => quorum.host(leader).resume());
      return lastsMs;
    case 'power-loss-of-all':
      for (const id of quorum.ids) quorum.losePower(id);
      sim.at(lastsMs, () => {
        for (const id of quorum.ids) quorum.restartSoon(id);
      });
      return lastsMs;
    case 'reset-connections':
      for (const id of quorum.ids) sim.network.resetConnections(`c${id}`);
      return 0;
  }
}
