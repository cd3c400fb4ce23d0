export {
  type ConfigurationChange,
  decodeConfiguration,
  encodeConfiguration,
  membersMax,
} from './configuration-change.ts';
export * from './describe.ts';
export { isVoter, membersOf } from './quorum.ts';
export { Raft } from './raft.ts';
export type { Proposal, RaftOptions, RaftStatus, ReadRequest } from './requests.ts';
export * from './types.ts';
