import type { RaftCore } from './core.ts';

/** The leader's reads; the order of steps and its reason stand in read-index.ts. */

export function addRead(core: RaftCore, context: number): void {
  if (core.log.commit < core.termStart) core.earlyReads.push(context);
  else core.reads.add(context, core.log.commit);
}

/** The term's empty entry is committed: the leader knows the commit index now (row 28). */
export function releaseEarlyReads(core: RaftCore): void {
  if (core.log.commit < core.termStart) return;
  for (const context of core.earlyReads) core.reads.add(context, core.log.commit);
  core.earlyReads = [];
}

export function confirmReads(core: RaftCore): void {
  if (core.reads.size === 0) return;
  core.readStates.push(...core.reads.confirmed(core.log.configuration, core.id));
}
