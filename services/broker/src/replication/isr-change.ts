import type { Logger } from '@naru/observability';
import { unreachable } from '@naru/runtime';
import type { IsrChangeResult, IsrWriter } from '../cluster/partition-state-writer.ts';
import type { IsrProposal, ProposalOutcome } from './core/in-sync-replicas.ts';
import type { LeaderTerm } from './core/leader-state.ts';

export interface ProposedIsrChange {
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
  readonly term: LeaderTerm;
  readonly proposal: IsrProposal;
  /** Of the newest state seen: an ISR change must not write an older one back (Z13). */
  readonly controllerEpoch: number;
}

/** Writes a proposal to the coordinator and says in the state machine's words what came of it. Never rejects. */
export async function changeIsr(
  writer: IsrWriter,
  { topic, topicId, partition, term, proposal, controllerEpoch }: ProposedIsrChange,
  logger: Logger,
): Promise<ProposalOutcome> {
  const { isr, elr, added, baseVersion: expectedVersion } = proposal;
  const { leader, leaderEpoch } = term.state;
  // Whoever leads has cut what it was to cut: nothing is left of `recoverTo`.
  const state = { leader, leaderEpoch, controllerEpoch, isr, elr };
  try {
    const result = await writer.changeIsr({
      topic,
      topicId,
      partition,
      expectedVersion,
      state,
      self: term.self,
      added,
    });
    return proposalOutcome(result);
  } catch (error) {
    logger.warn({ topic, partition, error }, 'the change of the ISR has an unknown outcome');
    return { kind: 'unknown' };
  }
}

function proposalOutcome(result: IsrChangeResult): ProposalOutcome {
  if (result.ok) return { kind: 'committed', version: result.version };
  switch (result.reason) {
    case 'conflict':
    case 'not-registered':
      return { kind: result.reason };
    case 'added-member-gone':
      return { kind: 'refused', member: result.member };
    case 'topic-gone':
      // As after a lost race: the metadata will say that there is nothing to lead.
      return { kind: 'conflict' };
    case 'unknown-outcome':
      return { kind: 'unknown' };
    default:
      return unreachable(result);
  }
}
