import { invariants } from '../../invariants.ts';
import type { Replica, Truth } from '../checkers/truth.ts';
import type { History, Send } from './history.ts';
import type { Story } from './story.ts';
import type { World } from './world.ts';

export interface Remains {
  readonly world: World;
  readonly truth: Truth;
  readonly history: History;
  readonly story: Story;
}

const recordsMax = 10;
const eventsMax = 15;
const partitionsMax = 3;

/**
 * What a reader wants to know next of a run that broke a promise: which rule it was, how the partitions and records that the message names stood at that moment, and what happened to
 * them last. The message is all that it goes by, so that checkers need not know of it.
 */
export function postMortem(remains: Remains, invariant: string, message: string): string[] {
  const lines = [`${invariant}: ${invariants[invariant] ?? ''}`];
  const named = partitionsIn(message, remains.world);
  const [some, rest] = invariant === 'liveness' ? inTheWay(remains.world) : [named, 0];
  for (const [topic, partition] of some) {
    lines.push('', ...aboutPartition(remains, topic, partition));
  }
  if (rest > 0) lines.push('', `and ${rest} more partitions whose replicas are not all in sync`);
  for (const send of sendsIn(message, remains.history)) lines.push(`record ${describe(send)}`);
  if (invariant.startsWith('Z')) lines.push('', ...aboutCoordinators(remains.world));
  const faults = remains.story.last(eventsMax, (line) => / FAULT /.test(line));
  return [...lines, '', 'the last faults', ...faults];
}

type Name = readonly [topic: string, partition: number];

/** Those whose names stand in a message. */
function partitionsIn(message: string, world: World): Name[] {
  return allPartitions(world).filter(([topic, partition]) =>
    new RegExp(`(^|[^\\w-])${topic}-${partition}(?!\\d)`).test(message),
  );
}

/** Those that have not become whole in peace: the first of them, and how many more there are. */
function inTheWay(world: World): [some: Name[], rest: number] {
  const { control } = world;
  const all = allPartitions(world).filter(
    ([topic, partition]) =>
      (control.stateOf(topic, partition)?.isr.length ?? 0) < control.replicasOf(topic, partition).length,
  );
  return [all.slice(0, partitionsMax), Math.max(0, all.length - partitionsMax)];
}

function allPartitions({ control }: World): Name[] {
  return [...control.states.keys()].flatMap((path) => {
    const [, topic, partition] = /\/topics\/([^/]+)\/partitions\/(\d+)\//.exec(path) ?? [];
    return topic === undefined ? [] : [[topic, Number(partition)] as const];
  });
}

function sendsIn(message: string, history: History): Send[] {
  const named = [...message.matchAll(/\bp(\d+)\/(\d+) to /g)];
  return named.flatMap(([, producer, number]) => history.sends[Number(producer)]?.[Number(number)] ?? []);
}

function aboutPartition({ world, truth, history, story }: Remains, topic: string, partition: number): string[] {
  const name = `${topic}-${partition}`;
  const state = world.control.stateOf(topic, partition);
  const topicId = world.control.topicIdOf(topic) ?? '';
  const ids = (members: readonly { readonly brokerId: number }[] = []): string =>
    members.map((m) => m.brokerId).join(' ');
  const lines = [
    `${name}: b${state?.leader} leads epoch ${state?.leaderEpoch}, ISR [${ids(state?.isr)}], ELR [${ids(state?.elr)}]; committed is what lies below ${truth.of(topicId, partition, topic).highWatermark}`,
  ];
  const ends: number[] = [];
  for (const id of world.control.replicasOf(topic, partition)) {
    const replica = world.brokers.get(id)?.replicas.partitionById(topicId, partition);
    if (replica !== undefined) ends.push(replica.log.logEndOffset);
    lines.push(`  b${id} ${replica === undefined ? 'is down or has no log of it' : aboutReplica(replica)}`);
  }
  const least = Math.min(...ends);
  const missing = [...history.all()].filter(
    (send) => send.topic === topic && send.partition === partition && send.outcome === 'acked' && send.offset >= least,
  );
  missing.sort((a, b) => a.offset - b.offset);
  if (missing.length > 0) lines.push(`  acknowledged, and not in each of these logs: ${missing.length} records`);
  for (const send of missing.slice(0, recordsMax)) lines.push(`    ${describe(send)}`);
  if (missing.length > recordsMax) lines.push(`    … and on to ${missing.at(-1)?.offset}`);
  const said = new RegExp(`\\b${name}\\b|"topic":"${topic}","partition":${partition}\\b`);
  return [...lines, `  what was told of it last`, ...story.last(eventsMax, (line) => said.test(line))];
}

function aboutReplica({ state, log }: Replica): string {
  return `${state.role} in epoch ${state.leaderEpoch}: ${log.logStartOffset} to ${log.logEndOffset}, synced to ${log.flushedOffset}, high watermark ${state.highWatermark}`;
}

function aboutCoordinators({ coordinatorIds, coordinators }: World): string[] {
  return coordinatorIds.map((id) => {
    const coordinator = coordinators.get(id);
    if (coordinator === undefined) return `c${id} is down`;
    const { role, term, commitIndex } = coordinator.standing();
    return `c${id} ${role} in term ${term}, committed up to ${commitIndex}, applied up to ${coordinator.tree().zxid}`;
  });
}

function describe({ producer, number, topic, partition, outcome, invokedMs, toldMs, offset, error }: Send): string {
  const sent = `p${producer}/${number} to ${topic}-${partition}, sent at ${invokedMs.toFixed(0)} ms`;
  if (outcome === 'acked') return `@${offset} ${sent}, acknowledged at ${toldMs.toFixed(0)} ms`;
  return `${sent}, ${outcome}${error === '' ? '' : `: ${error}`}`;
}
