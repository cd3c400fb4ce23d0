export {
  type ConfigurationChange,
  decodeConfiguration,
  encodeConfiguration,
  membersMax,
} from './configuration-change.ts';
export * from './describe.ts';
export { isVoter, membersOf } from './quorum.ts';
export { type Proposal, Raft, type RaftOptions, type RaftStatus, type ReadRequest } from './raft.ts';
export * from './types.ts';
