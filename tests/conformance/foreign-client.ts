/** What is asked of a client that nobody here wrote. Every record carries the header h=x. */
export type Command =
  | { readonly do: 'version' }
  | {
      readonly do: 'create';
      readonly topic: string;
      readonly partitions: number;
      readonly replicas: number;
      readonly configs: Readonly<Record<string, string>>;
    }
  | { readonly do: 'delete'; readonly topic: string }
  | { readonly do: 'addPartitions'; readonly topic: string; readonly count: number }
  | { readonly do: 'describeConfig'; readonly topic: string; readonly name: string }
  | { readonly do: 'alterConfig'; readonly topic: string; readonly name: string; readonly value: string }
  | {
      readonly do: 'offsets';
      readonly topic: string;
      readonly partition: number;
      /** Or milliseconds. */
      readonly at: 'earliest' | 'latest' | number;
    }
  | {
      readonly do: 'produce';
      readonly topic: string;
      readonly acks: 0 | 1 | -1;
      readonly codec: Codec;
      readonly idempotent: boolean;
      readonly records: readonly KeyedRecord[];
    }
  /** Without a group, where the client can. */
  | { readonly do: 'consume'; readonly topic: string; readonly partitions: number; readonly count: number }
  /** The offset of the first record that is read after going there. */
  | { readonly do: 'seek'; readonly topic: string; readonly partition: number; readonly offset: number }
  /** As a member of a group, from the committed offsets or the beginning; commits what it read and leaves. */
  | {
      readonly do: 'consumeInGroup';
      readonly topic: string;
      readonly group: string;
      readonly count: number;
      /** `consumer`: the coordinator assigns (KIP-848). */
      readonly protocol: 'classic' | 'consumer';
    }
  /** Members of one group over four partitions come and go; see `Membership`. */
  | {
      readonly do: 'members';
      readonly topic: string;
      readonly group: string;
      readonly protocol: 'eager' | 'cooperative' | 'consumer';
      readonly static: boolean;
    }
  | { readonly do: 'brokers' | 'listGroups' }
  | { readonly do: 'groupState' | 'deleteGroup'; readonly group: string }
  | { readonly do: 'groupOffset'; readonly group: string; readonly topic: string; readonly partition: number }
  | {
      readonly do: 'setGroupOffset';
      readonly group: string;
      readonly topic: string;
      readonly partition: number;
      readonly offset: number;
    }
  /** The low watermark afterwards. */
  | { readonly do: 'deleteRecords'; readonly topic: string; readonly partition: number; readonly before: number };

/** Which partitions the members had. */
export interface Membership {
  /** The first member by itself. */
  readonly alone: readonly number[];
  /** Both of them. */
  readonly together: readonly [readonly number[], readonly number[]];
  /** The first one, after the second has left. */
  readonly left?: readonly number[];
  /** Static: both, after the second was closed and opened again under its name. */
  readonly returned?: readonly [readonly number[], readonly number[]];
}

export const codecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const;
export type Codec = (typeof codecs)[number];

export interface KeyedRecord {
  readonly key: string;
  readonly value: string;
}

export interface ConsumedRecord extends KeyedRecord {
  readonly partition: number;
  readonly offset: number;
  readonly headers: Readonly<Record<string, string>>;
}

export type Result =
  | { readonly value: unknown }
  | { readonly error: string }
  /** The client cannot do it at all. */
  | { readonly unsupported: string };

export interface ForeignClient {
  readonly name: string;
  /** Gets the client. Throws `Unavailable` when it cannot be had here. */
  prepare(): Promise<PreparedClient>;
}

export interface PreparedClient {
  run(servers: string, commands: readonly Command[]): Promise<readonly Result[]>;
}

/** The client, or where it comes from, is out of reach: it is skipped, which is not to have passed. */
export class Unavailable extends Error {
  override readonly name = 'Unavailable';
}
