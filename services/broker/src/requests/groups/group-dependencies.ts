import { errorCodes, type KafkaErrorName, kafkaError } from '@naru/kafka-protocol';
import type { CoordinatorLookup } from '../../groups/coordinator/coordinator-lookup.ts';
import type { GroupCoordinator } from '../../groups/coordinator/group-coordinator.ts';

export interface GroupDependencies {
  readonly coordinator: GroupCoordinator;
  readonly lookup: CoordinatorLookup;
  readonly brokerId: number;
}

export interface WireError {
  readonly errorCode: number;
  readonly errorMessage: string;
}

export const noError: WireError = { errorCode: errorCodes.NONE, errorMessage: '' };

/** `undefined` is success. Without `message`: what the error always says. */
export function wireError(error: KafkaErrorName | undefined, message?: string): WireError {
  if (error === undefined || error === 'NONE') return noError;
  const errorCode = errorCodes[error];
  return { errorCode, errorMessage: message ?? kafkaError(errorCode).message };
}
