import { decodeConfiguration } from './configuration-change.ts';
import type { Configuration, Entry, Message, Ready } from './types.ts';

/** Plain text of what Raft says and does, for scenarios, logs and failing seeds. */

export function describeEntry(entry: Entry): string {
  const place = `${entry.index}/t${entry.term}`;
  switch (entry.kind) {
    case 'command':
      return `${place} "${Buffer.from(entry.data).toString()}"`;
    case 'configuration':
      return `${place} ${describeConfiguration(decodeConfiguration(entry.data))}`;
    case 'noop':
      return `${place} noop`;
  }
}

export function describeConfiguration(configuration: Configuration): string {
  const { voters, outgoing, learners } = configuration;
  const parts = [`voters ${voters.join(',')}`];
  if (outgoing.length > 0) parts.push(`outgoing ${outgoing.join(',')}`);
  if (learners.length > 0) parts.push(`learners ${learners.join(',')}`);
  return `(${parts.join(' ')})`;
}

export function describeMessage(message: Message): string {
  return `${message.from}→${message.to} t${message.term} ${message.kind}${details(message)}`;
}

function details(message: Message): string {
  switch (message.kind) {
    case 'pre-vote':
    case 'vote':
      return ` last ${message.lastIndex}/t${message.lastTerm}${message.transfer ? ' by transfer' : ''}`;
    case 'pre-vote-response':
    case 'vote-response':
      return message.reject ? ' refused' : ' granted';
    case 'append': {
      const entries = message.entries.length === 0 ? '' : ` [${message.entries.map(describeEntry).join(', ')}]`;
      return ` after ${message.previousIndex}/t${message.previousTerm}${entries} commit ${message.commit}`;
    }
    case 'append-response':
      return message.reject
        ? ` refused ${message.index}, perhaps ${message.rejectHintIndex}/t${message.rejectHintTerm}`
        : ` up to ${message.index}`;
    case 'heartbeat':
      return ` commit ${message.commit} read ${message.readContext}`;
    case 'heartbeat-response':
      return ` read ${message.readContext}`;
    case 'snapshot':
      return ` ${message.snapshot.index}/t${message.snapshot.term} ${describeConfiguration(message.snapshot.configuration)}`;
    case 'timeout-now':
      return '';
  }
}

/** One line for each effect, in the order of doing. */
export function describeReady(ready: Ready): string[] {
  const lines = ready.messages.map((message) => `send ${describeMessage(message)}`);
  if (ready.hardState)
    lines.push(`write term ${ready.hardState.term} vote ${ready.hardState.vote} commit ${ready.hardState.commit}`);
  if (ready.snapshot) lines.push(`install snapshot ${ready.snapshot.index}/t${ready.snapshot.term}`);
  if (ready.entries.length > 0) lines.push(`write ${ready.entries.map(describeEntry).join(', ')}`);
  lines.push(...ready.messagesAfterSync.map((message) => `after sync, send ${describeMessage(message)}`));
  lines.push(...ready.committedEntries.map((entry) => `apply ${describeEntry(entry)}`));
  lines.push(...ready.readStates.map((read) => `read ${read.context} at ${read.index}`));
  return lines;
}
