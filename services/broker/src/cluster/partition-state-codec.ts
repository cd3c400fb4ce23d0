import { type Member, noLeader, type PartitionState } from './partition-state.ts';
import { encodeJson, ZnodeFields } from './znode-fields.ts';

const formatVersion = 1;

/** Content of `/brokers/topics/T/partitions/P/state`. The epochs stand beside the ids, so that tools made for Kafka's layout still read `isr`. */
export function encodePartitionState(state: PartitionState): Uint8Array {
  return encodeJson({
    version: formatVersion,
    leader: state.leader,
    leader_epoch: state.leaderEpoch,
    isr: state.isr.map((member) => member.brokerId),
    isr_epochs: state.isr.map((member) => member.brokerEpoch),
    elr: state.elr.map((member) => member.brokerId),
    elr_epochs: state.elr.map((member) => member.brokerEpoch),
    controller_epoch: state.controllerEpoch,
    ...(state.recoverTo !== undefined && { recover_to: state.recoverTo }),
  });
}

/** Throws `ZnodeDecodeError`. */
export function decodePartitionState(path: string, data: Uint8Array): PartitionState {
  const fields = ZnodeFields.parse(path, data);
  fields.version(formatVersion);
  const state: PartitionState = {
    leader: fields.integer('leader', noLeader),
    leaderEpoch: fields.integer('leader_epoch'),
    isr: membersOf(fields, 'isr'),
    elr: membersOf(fields, 'elr'),
    controllerEpoch: fields.integer('controller_epoch'),
    ...(fields.has('recover_to') && { recoverTo: fields.integer('recover_to', 0, Number.MAX_SAFE_INTEGER) }),
  };
  const ids = [...state.isr, ...state.elr].map((member) => member.brokerId);
  if (new Set(ids).size !== ids.length) fields.fail('a broker stands twice in isr and elr');
  if (state.leader !== noLeader && !state.isr.some((member) => member.brokerId === state.leader)) {
    fields.fail(`the leader ${state.leader} is not in the isr`);
  }
  return state;
}

function membersOf(fields: ZnodeFields, name: 'isr' | 'elr'): readonly Member[] {
  const ids = fields.integers(name);
  const epochs = fields.integers(`${name}_epochs`, 0, Number.MAX_SAFE_INTEGER);
  if (ids.length !== epochs.length) fields.fail(`${name} and ${name}_epochs differ in length`);
  return ids.map((brokerId, index) => ({ brokerId, brokerEpoch: epochs[index] as number }));
}
