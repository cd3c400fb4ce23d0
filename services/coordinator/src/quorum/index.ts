export { QuorumError, type QuorumErrorCode } from './errors.ts';
export type { MemberConfig } from './membership.ts';
export { Quorum, type QuorumOptions } from './quorum.ts';
export type * from './state-machine.ts';
