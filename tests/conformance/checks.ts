import { setTimeout as delay } from 'node:timers/promises';
import type { Admin, Client } from '@naru/client';
import type { CheckList } from './check-list.ts';
import {
  type Codec,
  type Command,
  type ConsumedRecord,
  codecs,
  type KeyedRecord,
  type Membership,
  type PreparedClient,
  type Result,
} from './foreign-client.ts';
import { sharesGroup } from './shared-groups.ts';
import type { World } from './suite.ts';

const partitions = 4;
const recordsPerBatch = 40;
const topicOf = (client: string, subject: string): string => `conformance.${client}.${subject}`;

/** Everything that one client is asked to do, and what our own SDK sees of it. */
export async function runChecks(
  name: string,
  foreign: PreparedClient,
  { sdk, servers }: Pick<World, 'sdk' | 'servers'>,
  list: CheckList,
): Promise<void> {
  const checks = new Checks(name, foreign, sdk, servers, list);
  await checks.administration();
  await checks.codecsAndAcks();
  await checks.theirRecordsToUs();
  await checks.ourRecordsToThem();
  await checks.groups();
  await checks.samePartitions();
  await checks.offsets();
  await checks.members();
  await checks.groupAdministration();
  await checks.deletion();
}

class Checks {
  readonly list: CheckList;
  readonly #name: string;
  readonly #foreign: PreparedClient;
  readonly #sdk: Client;
  readonly #servers: string;
  /** What the client should have written into its topic. */
  readonly #written: string[] = [];

  constructor(name: string, foreign: PreparedClient, sdk: Client, servers: string, list: CheckList) {
    this.list = list;
    this.#name = name;
    this.#foreign = foreign;
    this.#sdk = sdk;
    this.#servers = servers;
  }

  get #topic(): string {
    return topicOf(this.#name, 'theirs');
  }

  async administration(): Promise<void> {
    const topic = topicOf(this.#name, 'admin');
    const configs = { 'retention.ms': '86400000' };
    const results = await this.#run([
      { do: 'create', topic, partitions: 3, replicas: 3, configs },
      { do: 'describeConfig', topic, name: 'retention.ms' },
      { do: 'alterConfig', topic, name: 'retention.ms', value: '3600000' },
      { do: 'describeConfig', topic, name: 'retention.ms' },
      { do: 'addPartitions', topic, count: 5 },
    ]);
    this.list.record('creates a topic', results[0]);
    this.list.record('describes its configuration', results[1], (value) => String(value).includes('86400000'));
    this.list.record('alters it', results[2]);
    this.list.record('sees the change', results[3], (value) => String(value).includes('3600000'));
    this.list.record('adds partitions', results[4]);
    if (results[0] !== undefined && 'unsupported' in results[0]) return;
    await using admin = this.#sdk.admin();
    const [described] = await admin.describeTopics([topic]);
    this.list.verdict(
      'our SDK sees its five partitions',
      described !== undefined && 'partitions' in described && described.partitions.length === 5,
      JSON.stringify(described),
    );
    const [deleted] = await this.#run([{ do: 'delete', topic }]);
    this.list.record('deletes the topic', deleted);
    // The broker that is asked may hear of it a moment later than the one that deleted it.
    let names: readonly string[] = [];
    for (let attempt = 0; attempt < 50; attempt++) {
      names = (await admin.listTopics()).map((one) => one.name);
      if (!names.includes(topic)) break;
      await delay(100);
    }
    this.list.verdict('our SDK sees it gone', !names.includes(topic), names.join(', '));
  }

  async codecsAndAcks(): Promise<void> {
    await this.#createTopic(this.#topic);
    const commands: Extract<Command, { do: 'produce' }>[] = [
      ...codecs.map((codec) => this.#produce(codec, -1, false)),
      // Before acks=0, so that whoever writes without answers finds the leaders known.
      this.#produce('none', 1, false),
      this.#produce('none', 0, false),
      this.#produce('none', -1, true),
    ];
    const results = await this.#run(commands);
    for (const [i, command] of commands.entries()) {
      const acks = command.acks === -1 ? 'all' : command.acks;
      const kind = command.idempotent ? 'an idempotent producer' : `acks=${acks}, compression ${command.codec}`;
      this.list.record(`produces: ${kind}`, results[i]);
      if (results[i] !== undefined && 'value' in results[i]) {
        this.#written.push(...command.records.map(({ key, value }) => `${key}=${value}`));
      }
    }
  }

  async theirRecordsToUs(): Promise<void> {
    const ours = await this.#readBySdk(this.#topic, this.#written.length);
    this.list.sameRecords('our SDK reads what it wrote, keys and headers included', ours, this.#written);
    const command = { do: 'consume', topic: this.#topic, partitions, count: this.#written.length } as const;
    const [theirs] = await this.#run([command]);
    if (theirs !== undefined && 'value' in theirs) {
      const records = theirs.value as ConsumedRecord[];
      this.list.sameRecords('reads what it wrote', records, this.#written);
      const places = (list: readonly ConsumedRecord[]) =>
        list.map(({ partition, offset, value }) => `${partition}/${offset}=${value}`).sort();
      const same = JSON.stringify(places(records)) === JSON.stringify(places(ours));
      this.list.verdict('reads every record at the place where our SDK reads it', same, 'other places');
    } else this.list.record('reads what it wrote', theirs);
  }

  async ourRecordsToThem(): Promise<void> {
    const topic = topicOf(this.#name, 'ours');
    await this.#createTopic(topic);
    const written: string[] = [];
    for (const codec of codecs) {
      await using producer = this.#sdk.producer({ acks: 'all', compressionType: codec, lingerMs: 20 });
      const records = recordsOf(`sdk-${codec}`);
      await producer.sendMany(records.map((record) => ({ topic, ...record, headers: { h: 'x' } })));
      written.push(...records.map(({ key, value }) => `${key}=${value}`));
    }
    const [theirs] = await this.#run([{ do: 'consume', topic, partitions, count: written.length }]);
    if (theirs !== undefined && 'value' in theirs) {
      this.list.sameRecords('reads what our SDK wrote with every codec', theirs.value as ConsumedRecord[], written);
    } else this.list.record('reads what our SDK wrote with every codec', theirs);
  }

  /** Reads everything as a group, and goes on where it stopped; then shares a group with our SDK. */
  async groups(): Promise<void> {
    for (const protocol of ['classic', 'consumer'] as const) {
      const isDone = await this.#readsInGroup(protocol);
      if (!isDone) continue;
      const run = async (command: Command): Promise<Result | undefined> => (await this.#run([command]))[0];
      for (const ourProtocol of ['classic', 'consumer'] as const) {
        const topic = topicOf(this.#name, `shared.${protocol}.${ourProtocol}`);
        await this.#createTopic(topic);
        await sharesGroup({ client: this.#name, run, sdk: this.#sdk, topic, protocol, ourProtocol }, this.list);
      }
    }
  }

  async #readsInGroup(protocol: 'classic' | 'consumer'): Promise<boolean> {
    const topic = topicOf(this.#name, protocol === 'classic' ? 'group' : 'group.consumer');
    const group = `${topic}.members`;
    await this.#createTopic(topic);
    await using producer = this.#sdk.producer({ acks: 'all' });
    for (const part of ['first', 'second']) {
      const records = recordsOf(part);
      await producer.sendMany(records.map((record) => ({ topic, ...record, headers: { h: 'x' } })));
      const [result] = await this.#run([{ do: 'consumeInGroup', topic, group, count: records.length, protocol }]);
      const what = part === 'first' ? 'reads in a group' : 'goes on at what the group has committed';
      const name = `${what} (${protocol})`;
      if (result === undefined || !('value' in result)) {
        this.list.record(name, result);
        return false;
      }
      const written = records.map(({ key, value }) => `${key}=${value}`);
      this.list.sameRecords(name, result.value as ConsumedRecord[], written);
    }
    return true;
  }

  async samePartitions(): Promise<void> {
    const theirs = topicOf(this.#name, 'keys.theirs');
    const ours = topicOf(this.#name, 'keys.ours');
    await this.#createTopic(theirs);
    await this.#createTopic(ours);
    const records = Array.from({ length: 200 }, (_, i) => ({ key: `key-${i}-ü${'x'.repeat(i % 7)}`, value: 'v' }));
    await using producer = this.#sdk.producer({ acks: 'all' });
    await producer.sendMany(records.map((record) => ({ topic: ours, ...record, headers: { h: 'x' } })));
    const command = { do: 'produce', topic: theirs, acks: -1, codec: 'none', idempotent: false, records } as const;
    const [result] = await this.#run([command]);
    if (result === undefined || !('value' in result)) {
      this.list.record('puts keys on the partitions where our SDK puts them', result);
      return;
    }
    const places = async (topic: string) =>
      new Map((await this.#readBySdk(topic, records.length)).map(({ key, partition }) => [key, partition]));
    const [a, b] = [await places(theirs), await places(ours)];
    const other = records.filter(({ key }) => a.get(key) !== b.get(key)).map(({ key }) => key);
    const detail = `${other.length} of ${records.length}: ${other.slice(0, 3).join(', ')}`;
    this.list.verdict('puts keys on the partitions where our SDK puts them', other.length === 0, detail);
  }

  async offsets(): Promise<void> {
    const ends = await this.#sdk.admin().listOffsets([{ topic: this.#topic, partition: 0, spec: 'latest' }]);
    const end = Number(ends[0]?.offset);
    const at = (when: 'earliest' | 'latest' | number): Command => {
      return { do: 'offsets', topic: this.#topic, partition: 0, at: when };
    };
    const [earliest, latest, old] = await this.#run([at('earliest'), at('latest'), at(1_000)]);
    this.list.record('finds the earliest offset', earliest, (value) => value === 0);
    this.list.record('finds the latest offset', latest, (value) => value === end);
    this.list.record('finds the offset of a time', old, (value) => value === 0);
    // In the middle of a batch: the broker sends the whole batch, and the client leaves out what it did not ask for.
    const [sought] = await this.#run([{ do: 'seek', topic: this.#topic, partition: 0, offset: end - 3 }]);
    this.list.record('seeks into the middle of a batch', sought, (value) => value === end - 3);
  }

  /** A member joins, another one joins and leaves; each in the ways that the client knows. */
  async members(): Promise<void> {
    const topic = topicOf(this.#name, 'members');
    await this.#createTopic(topic);
    const member = (protocol: 'eager' | 'cooperative' | 'consumer', isStatic: boolean): Command => {
      const group = `${topic}.${protocol}${isStatic ? '.static' : ''}`;
      return { do: 'members', topic, group, protocol, static: isStatic };
    };
    const everything = [0, 1, 2, 3].join();
    const all = (...parts: readonly (readonly number[])[]): boolean => parts.flat().sort().join() === everything;
    for (const protocol of ['eager', 'cooperative', 'consumer'] as const) {
      const [result] = await this.#run([member(protocol, false)]);
      this.list.record(
        `members share the partitions (${protocol}) and take over from one that leaves`,
        result,
        (value) => {
          const { alone, together, left = [] } = value as Membership;
          return all(alone) && all(...together) && together[0].length === 2 && all(left);
        },
      );
    }
    const [result] = await this.#run([member('eager', true)]);
    this.list.record('a static member comes back to what it had', result, (value) => {
      const { alone, together, returned } = value as Membership;
      return all(alone) && all(...together) && JSON.stringify(together) === JSON.stringify(returned);
    });
  }

  /** The group of `groups()`, which has no member any more. */
  async groupAdministration(): Promise<void> {
    const topic = topicOf(this.#name, 'group');
    const group = `${topic}.members`;
    await using admin = this.#sdk.admin();
    const [partition = 0, offset = 0] = await this.#committedPlace(admin, group);
    const place = { group, topic, partition };
    const results = await this.#run([
      { do: 'brokers' },
      { do: 'listGroups' },
      { do: 'groupState', group },
      { do: 'groupOffset', ...place },
      { do: 'setGroupOffset', ...place, offset: 1 },
      { do: 'groupOffset', ...place },
      { do: 'deleteGroup', group },
      { do: 'listGroups' },
    ]);
    const [brokers, listed, state, before, set, after, deleted, left] = results;
    this.list.record('sees three brokers', brokers, (value) => value === 3);
    this.list.record('lists its group', listed, (value) => (value as string[]).includes(group));
    this.list.record('describes it as empty', state, (value) => /^empty$/i.test(String(value)));
    this.list.record('reads the offset that the group has committed', before, (value) => value === offset);
    this.list.record('sets it', set);
    const isSet = set !== undefined && 'value' in set;
    this.list.record('reads what it was set to', after, (value) => value === (isSet ? 1 : offset));
    this.list.record('deletes the group', deleted);
    const isDeleted = deleted !== undefined && 'value' in deleted;
    this.list.record('lists it no more', left, (value) => (value as string[]).includes(group) !== isDeleted);
  }

  /** The records of `codecsAndAcks()` go last, for others read them. */
  async deletion(): Promise<void> {
    const [low] = await this.#run([{ do: 'deleteRecords', topic: this.#topic, partition: 0, before: 5 }]);
    this.list.record('deletes the first records of a partition', low, (value) => value === 5);
    if (low === undefined || !('value' in low)) return;
    await using admin = this.#sdk.admin();
    const [found] = await admin.listOffsets([{ topic: this.#topic, partition: 0, spec: 'earliest' }]);
    this.list.verdict('our SDK finds the partition begin there', found?.offset === 5n, String(found?.offset));
  }

  async #committedPlace(admin: Admin, group: string): Promise<readonly number[]> {
    const [found] = (await admin.listGroupOffsets(group)).filter(({ offset }) => offset !== undefined);
    return found === undefined ? [] : [found.partition, Number(found.offset)];
  }

  #produce(codec: Codec, acks: 0 | 1 | -1, idempotent: boolean): Extract<Command, { do: 'produce' }> {
    const records = recordsOf(`${codec}.${acks}.${idempotent}`);
    return { do: 'produce', topic: this.#topic, acks, codec, idempotent, records };
  }

  async #createTopic(name: string): Promise<void> {
    await using admin = this.#sdk.admin();
    await admin.createTopics([{ name, partitions, replicationFactor: 3 }]);
  }

  async #readBySdk(topic: string, count: number): Promise<ConsumedRecord[]> {
    await using consumer = this.#sdk.consumer({ autoOffsetReset: 'earliest' });
    consumer.assign(Array.from({ length: partitions }, (_, partition) => ({ topic, partition })));
    const found: ConsumedRecord[] = [];
    while (found.length < count) {
      const records = await consumer.poll(3_000);
      if (records.length === 0) break;
      for (const { partition, offset, key, value, headers } of records) {
        const pairs = headers.map(([name, content]) => [name, content === null ? '' : Buffer.from(content).toString()]);
        found.push({
          partition,
          offset: Number(offset),
          key: String(key),
          value: String(value),
          headers: Object.fromEntries(pairs),
        });
      }
    }
    return found;
  }

  #run(commands: readonly Command[]): Promise<readonly Result[]> {
    return this.#foreign.run(this.#servers, commands);
  }
}

function recordsOf(label: string): KeyedRecord[] {
  return Array.from({ length: recordsPerBatch }, (_, i) => ({
    key: `k${i}`,
    value: `${label}-${i}-${'compressible '.repeat(4).trim()}`,
  }));
}
