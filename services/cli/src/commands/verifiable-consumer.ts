import type { Consumer, ConsumerRecord, KafkaError, TopicPartition } from '@naru/client';
import type { Command } from '../command.ts';
import { bootstrapFlags, readPropertiesFile, withClient } from '../connection.ts';
import { ConsumedOffsets } from '../consumed-offsets.ts';
import { printEvent } from '../event-line.ts';
import { type FlagValues, keyValues, parseFlags, wholeNumber } from '../flags.ts';

const flags = {
  ...bootstrapFlags,
  'broker-list': { kind: 'value', value: 'host:port', doc: 'old name of --bootstrap-server' },
  topic: { kind: 'value', value: 'name', required: true, doc: 'the topic to read' },
  'group-id': { kind: 'value', value: 'id', required: true, doc: 'the group to join' },
  'group-instance-id': { kind: 'value', value: 'id', doc: 'makes it a static member' },
  'max-messages': { kind: 'value', value: 'count', default: '-1', doc: 'end after so many records; -1: never' },
  'session-timeout': { kind: 'value', value: 'ms', default: '30000', doc: 'session.timeout.ms of the consumer' },
  verbose: { kind: 'switch', doc: 'one line for each record, too' },
  'enable-autocommit': { kind: 'switch', doc: 'commit at intervals instead of after each poll' },
  'reset-policy': { kind: 'value', value: 'policy', default: 'earliest', doc: 'auto.offset.reset of the consumer' },
  'assignment-strategy': {
    kind: 'value',
    value: 'assignor',
    default: 'org.apache.kafka.clients.consumer.RangeAssignor',
    doc: 'partition.assignment.strategy of the consumer, with the classic protocol',
  },
  'group-protocol': { kind: 'value', value: 'protocol', default: 'classic', doc: 'classic or consumer' },
  'group-remote-assignor': { kind: 'value', value: 'name', doc: 'group.remote.assignor, with the consumer protocol' },
  'consumer.config': { kind: 'value', value: 'file', doc: 'properties file for the consumer; flags count more' },
  'command-property': { kind: 'list', value: 'key=value', doc: 'a setting of the consumer; flags count more' },
} as const;

type Values = FlagValues<typeof flags>;

export const command: Command<typeof flags> = {
  name: 'verifiable-consumer',
  summary: 'Reads a topic as a member of a group and prints what happens as JSON.',
  usage:
    'kafka-verifiable-consumer.sh --bootstrap-server <host:port> --topic <name> --group-id <id> [--max-messages <count>] [flags]',
  flags,
  run: async (argv) => {
    const { values } = parseFlags(flags, argv);
    const limit = wholeNumber('max-messages', values['max-messages'], -1);
    const settings = consumerSettings(values);
    return withClient({ ...values, 'command-config': undefined }, {}, async (client) => {
      const run = new Run(client.consumer(settings), values, limit < 0 ? Number.POSITIVE_INFINITY : limit);
      return run.toEnd();
    });
  },
};

function consumerSettings(values: Values): Record<string, string> {
  const protocol = values['group-protocol'].toLowerCase();
  const remoteAssignor = values['group-remote-assignor'];
  return {
    'client.id': `consumer-${values['group-id']}-1`,
    ...readPropertiesFile(values['consumer.config']),
    ...readPropertiesFile(values['command-config']),
    ...keyValues('command-property', values['command-property']),
    'group.id': values['group-id'],
    ...(values['group-instance-id'] === undefined ? {} : { 'group.instance.id': values['group-instance-id'] }),
    'enable.auto.commit': String(values['enable-autocommit']),
    'auto.offset.reset': values['reset-policy'],
    // Session and assignor are the brokers' own affair in the protocol of KIP-848.
    ...(protocol === 'classic'
      ? {
          'session.timeout.ms': values['session-timeout'],
          'partition.assignment.strategy': values['assignment-strategy'],
        }
      : {
          'group.protocol': protocol,
          ...(remoteAssignor === undefined ? {} : { 'group.remote.assignor': remoteAssignor }),
        }),
  };
}

interface PartitionSummary extends TopicPartition {
  count: number;
  readonly minOffset: number;
  maxOffset: number;
}

/** One member's life, told as it happens (Kafka: tools/VerifiableConsumer.java). */
class Run {
  readonly #consumer: Consumer;
  readonly #values: Values;
  readonly #limit: number;
  readonly #consumed = new ConsumedOffsets();
  #count = 0;
  #isEnded = false;

  constructor(consumer: Consumer, values: Values, limit: number) {
    this.#consumer = consumer;
    this.#values = values;
    this.#limit = limit;
  }

  async toEnd(): Promise<number> {
    const end = (): void => {
      this.#isEnded = true;
      this.#consumer.wakeup();
    };
    process.once('SIGINT', end).once('SIGTERM', end);
    printEvent('startup_complete');
    const revoked = (partitions: readonly TopicPartition[]): void => this.#tell('partitions_revoked', partitions);
    this.#consumer.subscribe([this.#values.topic], {
      onPartitionsAssigned: (partitions) => this.#tell('partitions_assigned', partitions),
      onPartitionsRevoked: revoked,
      onPartitionsLost: revoked,
    });
    try {
      await this.#consume();
      if (this.#values['enable-autocommit']) await this.#consumed.commit(this.#consumer);
    } finally {
      await this.#consumer.close();
      printEvent('shutdown_complete');
    }
    return 0;
  }

  async #consume(): Promise<void> {
    while (!this.#isEnded && this.#count < this.#limit) {
      let records: ConsumerRecord[];
      try {
        records = await this.#consumer.poll(60_000);
      } catch (error) {
        if (this.#isEnded) return;
        throw error;
      }
      if (records.length === 0) continue;
      const summaries = this.#take(records.slice(0, this.#limit - this.#count));
      if (!this.#values['enable-autocommit']) await this.#commit(summaries);
    }
  }

  #take(records: readonly ConsumerRecord[]): readonly PartitionSummary[] {
    const summaries = new Map<string, PartitionSummary>();
    for (const record of records) {
      const { topic, partition } = record;
      const offset = Number(record.offset);
      const key = `${topic}/${partition}`;
      const summary = summaries.get(key) ?? { topic, partition, count: 0, minOffset: offset, maxOffset: offset };
      summary.count++;
      summary.maxOffset = offset;
      summaries.set(key, summary);
      this.#consumed.add(record);
      if (!this.#values.verbose) continue;
      const text = (bytes: Buffer | null): string | null => bytes?.toString() ?? null;
      printEvent('record_data', { key: text(record.key), value: text(record.value), topic, partition, offset });
    }
    this.#count += records.length;
    const partitions = [...summaries.values()];
    printEvent('records_consumed', { count: records.length, partitions });
    return partitions;
  }

  /** What cannot be committed is told and read on: the group decides who goes on where. Another instance with our name ends it. */
  async #commit(summaries: readonly PartitionSummary[]): Promise<void> {
    const offsets = summaries.map(({ topic, partition, maxOffset }) => ({ topic, partition, offset: maxOffset + 1 }));
    try {
      await this.#consumer.commitSync(offsets);
      printEvent('offsets_committed', { offsets, success: true });
    } catch (error) {
      const { fatal, message } = error as KafkaError;
      if (fatal) throw error;
      printEvent('offsets_committed', { offsets, success: false, error: message });
    }
  }

  #tell(name: string, partitions: readonly TopicPartition[]): void {
    printEvent(name, { partitions: partitions.map(({ topic, partition }) => ({ topic, partition })) });
  }
}
