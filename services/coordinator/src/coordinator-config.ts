import { ConfigError, type ConfigInput, type ConfigValues, defineConfig } from '@naru/config';
import type { QuorumMember } from './quorum/state-machine.ts';

const portMax = 65_535;
const mebibyte = 1_048_576;

/** A coordinator's settings. */
export const coordinatorConfigDefinition = defineConfig({
  'node.id': { type: 'int', min: 1, doc: 'Number of this coordinator, unique among the members.' },
  'cluster.id': {
    type: 'string',
    default: '',
    doc: 'Name of the cluster; nodes and data directories of another name are refused.',
  },
  'data.dir': { type: 'string', default: 'coordinator-data', doc: 'Directory of the log, the vote and the snapshots.' },
  'listen.host': { type: 'string', default: '127.0.0.1', doc: 'Address that both ports bind.' },
  'client.port': { type: 'int', default: 2181, min: 0, max: portMax, doc: 'Port for clients; 0 takes a free one.' },
  'peer.port': { type: 'int', default: 2888, min: 0, max: portMax, doc: 'Port for the other coordinators.' },
  members: {
    type: 'list',
    default: [],
    doc: 'The coordinators that the cluster begins with, as id@host:peer-port:client-port, separated by commas; empty: this one alone.',
  },
  join: {
    type: 'boolean',
    default: false,
    doc: "Begin outside the quorum and wait to be added to it; 'members' names the others.",
  },
  'session.timeout.min.ms': {
    type: 'int',
    default: 1_000,
    min: 100,
    doc: 'The shortest session timeout granted, milliseconds.',
  },
  'session.timeout.max.ms': {
    type: 'int',
    default: 60_000,
    min: 100,
    doc: 'The longest session timeout granted, milliseconds.',
  },
  'session.disconnect.grace.ms': {
    type: 'int',
    default: 1_000,
    min: 0,
    doc: 'How long a session outlives its broken connection, milliseconds.',
  },
  'election.timeout.ms': {
    type: 'int',
    default: 600,
    min: 50,
    doc: 'After so long without a leader a node stands for election, milliseconds.',
  },
  'heartbeat.interval.ms': {
    type: 'int',
    default: 100,
    min: 5,
    doc: 'How often a leader speaks when there is nothing to say, milliseconds.',
  },
  'snapshot.threshold.entries': {
    type: 'int',
    default: 20_000,
    min: 16,
    doc: 'After so many log entries a snapshot is taken and the log is cut.',
  },
  'watch.history.entries': {
    type: 'int',
    default: 65_536,
    min: 0,
    doc: 'Recent changes kept so that watches can resume; beyond it they begin with a snapshot.',
  },
  'watch.history.bytes': { type: 'int', default: 16 * mebibyte, min: 0, doc: 'Bound of the same in bytes.' },
  'log.file': {
    type: 'string',
    doc: "File for this node's own log lines; default: node.log in data.dir; '-': standard output.",
  },
  'log.level': {
    type: 'string',
    default: 'info',
    oneOf: ['debug', 'info', 'warn', 'error', 'silent'],
    doc: "How much this node's own log says.",
  },
});

export interface CoordinatorConfig extends ConfigValues<typeof coordinatorConfigDefinition.settings> {
  readonly 'node.id': number;
}

/** Checks names, values and how they fit together. Throws `ConfigError` with one line. */
export function parseCoordinatorConfig(input: ConfigInput): CoordinatorConfig {
  const parsed = coordinatorConfigDefinition.parse(input);
  const nodeId = parsed['node.id'];
  if (nodeId === undefined) throw new ConfigError('node.id', "'node.id' must be given");
  const config = { ...parsed, 'node.id': nodeId };
  if (config['session.timeout.min.ms'] > config['session.timeout.max.ms']) {
    throw new ConfigError(
      'session.timeout.min.ms',
      "'session.timeout.min.ms' must not exceed 'session.timeout.max.ms'",
    );
  }
  if (config['heartbeat.interval.ms'] * 2 > config['election.timeout.ms']) {
    throw new ConfigError(
      'heartbeat.interval.ms',
      "'heartbeat.interval.ms' must be at most half of 'election.timeout.ms'",
    );
  }
  const members = initialMembers(config);
  if (members.some((member) => member.id === nodeId) === config.join) {
    const fault = config.join
      ? `names this node, ${nodeId}, although 'join' is true`
      : `does not name this node, ${nodeId}`;
    throw new ConfigError('members', `'members' ${fault}`);
  }
  return config;
}

/** The members that the quorum begins with. */
export function initialMembers(config: CoordinatorConfig): readonly QuorumMember[] {
  const members = config.members.map(parseMember);
  if (new Set(members.map((member) => member.id)).size !== members.length) {
    throw new ConfigError('members', "'members' names a node twice");
  }
  if (members.length > 0) return members;
  const host = config['listen.host'];
  return [
    {
      id: config['node.id'],
      peerAddress: `${host}:${config['peer.port']}`,
      clientAddress: `${host}:${config['client.port']}`,
      voter: true,
    },
  ];
}

function parseMember(text: string): QuorumMember {
  const match = /^(\d+)@(\[[^\]]+\]|[^:@\s]+):(\d{1,5}):(\d{1,5})$/.exec(text);
  if (match === null || Number(match[1]) < 1 || Number(match[3]) > portMax || Number(match[4]) > portMax) {
    throw new ConfigError('members', `'${text}' in 'members' must be id@host:peer-port:client-port`);
  }
  const [, id, host, peerPort, clientPort] = match;
  return { id: Number(id), peerAddress: `${host}:${peerPort}`, clientAddress: `${host}:${clientPort}`, voter: true };
}
