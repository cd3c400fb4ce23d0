import type { KafkaErrorName } from '@naru/kafka-protocol';

/** What may not be done, and what the user is told. */
export interface Refusal {
  readonly ok: false;
  readonly error: KafkaErrorName;
  readonly message: string;
}

export function refuse(error: KafkaErrorName, message: string): Refusal {
  return { ok: false, error, message };
}
