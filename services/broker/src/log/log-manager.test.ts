import { describe, expect, test } from 'vitest';
import { readIdentity } from './directory-identity.ts';
import { batch, dataDirectory, LogWorld, topicId } from './testing/log-world.ts';

const otherId = 'DDDDDDDDDDDDDDDDDDDDDD';

describe('a data directory', () => {
  test('keeps its identity, and refuses another broker and another cluster in one line', async () => {
    const world = new LogWorld('identity');
    const manager = await world.start();
    const identity = await world.complete(readIdentity(world.node.runtime.disk, dataDirectory));
    expect(identity).toEqual({ brokerId: 1, clusterId: 'cluster', directoryId: manager.directoryId });
    await world.complete(manager.close(1));
    await expect(world.start({ brokerId: 2 })).rejects.toMatchObject({
      code: 'foreign-directory',
      message: `${dataDirectory} belongs to broker 1, this is broker 2`,
    });
    await expect(world.start({ clusterId: 'other' })).rejects.toMatchObject({
      code: 'foreign-directory',
      message: `${dataDirectory} belongs to cluster cluster, this is other`,
    });
    expect((await world.start()).directoryId).toBe(manager.directoryId);
  });

  test('is locked while it is open', async () => {
    const world = new LogWorld('lock');
    await world.start();
    await expect(world.start()).rejects.toMatchObject({ code: 'locked' });
  });

  test('with partitions but without an identity is not claimed', async () => {
    const world = new LogWorld('claim');
    await world.complete(world.node.runtime.disk.makeDirectory(`${dataDirectory}/orders-0`));
    await expect(world.start()).rejects.toMatchObject({ code: 'foreign-directory' });
  });

  test('with an unreadable meta.properties is refused', async () => {
    const world = new LogWorld('unreadable');
    await world.complete(world.node.runtime.disk.makeDirectory(dataDirectory));
    const path = `${dataDirectory}/meta.properties`;
    await world.complete(world.node.runtime.disk.replaceFile(path, Buffer.from('version=1\nbroker.id=x\n')));
    await expect(world.start()).rejects.toMatchObject({ code: 'unreadable' });
  });

  test.each([
    ['with ZooKeeper', 'version=0\nbroker.id=1\ncluster.id=QJx4M2ZPRfyKSO7H5LmZrQ\n'],
    ['with KRaft', 'version=1\nnode.id=1\ncluster.id=QJx4M2ZPRfyKSO7H5LmZrQ\ndirectory.id=MkVcSuJyQJaK0FOSWvYd2w\n'],
  ])('of Apache Kafka %s is refused by that name', async (_, text) => {
    const world = new LogWorld('kafka');
    await world.complete(world.node.runtime.disk.makeDirectory(dataDirectory));
    await world.complete(world.node.runtime.disk.replaceFile(`${dataDirectory}/meta.properties`, Buffer.from(text)));
    await expect(world.start()).rejects.toMatchObject({
      code: 'foreign-directory',
      message: `${dataDirectory} belongs to a broker of Apache Kafka; name another directory with 'log.dirs'`,
    });
  });
});

describe('the mark of a clean stop', () => {
  test('carries the broker epoch and is gone before anything else happens (row 59)', async () => {
    const world = new LogWorld('mark');
    await world.open();
    await world.complete(world.manager.close(42));
    expect(markOf(world)).toBe('{"version":0,"brokerEpoch":42}');
    expect((await world.start()).cleanShutdownEpoch).toBe(42);
    expect(markOf(world)).toBeUndefined();
    world.node.losePower({ unsynced: 'lost' });
    expect((await world.start()).cleanShutdownEpoch).toBeUndefined();
  });

  test('is not written when a log could not be flushed (row 59)', async () => {
    const world = new LogWorld('unflushed');
    const log = await world.open();
    await world.complete(log.leaderEpochs.assign(0, 0));
    log.appendAsLeader(batch(1), 0, 0);
    world.node.disk.failSyncs('.log');
    await world.complete(world.manager.close(1));
    expect(markOf(world)).toBeUndefined();
    expect(world.failures).toHaveLength(1);
  });

  test('row 60: the recovery point is what was synced, also when appends go on', async () => {
    const world = new LogWorld('recovery-point');
    const log = await world.open();
    await world.complete(log.leaderEpochs.assign(0, 0));
    log.appendAsLeader(batch(5), 0, 0);
    const checkpoint = world.manager.checkpoint();
    log.appendAsLeader(batch(5), 0, 0);
    await world.complete(checkpoint);
    const text = Buffer.from(world.node.disk.contentOf(`${dataDirectory}/recovery-point-offset-checkpoint`)).toString();
    expect(text).toBe(`0\n1\ntopic 0 ${log.flushedOffset}\n`);
  });
});

describe('offset checkpoints', () => {
  test.each(['recovery-point-offset-checkpoint', 'replication-offset-checkpoint', 'log-start-offset-checkpoint'])(
    '%s: a name that a flipped bit made impossible makes the file unreadable, not the broker unable to run (row 62, CORDS)',
    async (file) => {
      const world = new LogWorld('garbled');
      const log = await world.open();
      await world.complete(log.leaderEpochs.assign(0, 0));
      log.appendAsLeader(batch(5), 0, 0);
      await world.complete(world.manager.close(1));
      const garbled = Buffer.from('0\n1\nt\u00ffpic 0 5\n', 'latin1');
      await world.complete(world.node.runtime.disk.replaceFile(`${dataDirectory}/${file}`, garbled));
      const manager = await world.start();
      await world.complete(manager.checkpoint());
      expect(world.failures).toEqual([]);
    },
  );
});

describe('partition directories', () => {
  test('row 18: one of another topic id is put aside, not appended to, and not deleted', async () => {
    const world = new LogWorld('recycled');
    const log = await world.open();
    await world.complete(log.leaderEpochs.assign(0, 0));
    log.appendAsLeader(batch(3), 0, 0);
    const recreated = await world.log('topic', otherId);
    expect([recreated.logStartOffset, recreated.logEndOffset]).toEqual([0, 0]);
    const aside = files(world).filter((path) => /topic-0\.[0-9a-f]{32}-stray\/.*\.log$/.test(path));
    expect(aside).toHaveLength(1);
    expect(world.node.disk.files().get(aside[0] as string)).toBeGreaterThan(0);
    expect(world.manager.get(topicId, 0)).toBeUndefined();
    world.node.losePower({ unsynced: 'lost' });
    await world.start();
    expect([...world.manager.logs].map(({ topicId: id }) => id)).toEqual([otherId]);
    expect(files(world)).toContain(aside[0]);
  });

  test('row 58: one without a readable topic id is put aside, never deleted', async () => {
    const world = new LogWorld('no-id');
    await world.open();
    world.node.crash();
    world.node.disk.truncateFile(world.path('partition.metadata'), 9);
    await world.start();
    expect([...world.manager.logs]).toEqual([]);
    expect(files(world).some((path) => /topic-0\.[0-9a-f]{32}-stray\/0{20}\.log$/.test(path))).toBe(true);
  });

  test('a deletion survives a power loss at any event: the log is there whole or gone', async () => {
    for (let stopAt = 0; stopAt < 40; stopAt++) {
      const world = new LogWorld(`delete-${stopAt}`);
      const log = await world.open();
      await world.complete(log.leaderEpochs.assign(0, 0));
      log.appendAsLeader(batch(3), 0, 0);
      await world.complete(log.flush());
      const start = world.simulation.eventCount;
      let isOver = false;
      void world.manager.delete(topicId, 0).then(() => {
        isOver = true;
      });
      await world.simulation.runUntil(() => isOver || world.simulation.eventCount >= start + stopAt);
      world.node.losePower();
      await world.start();
      const after = world.manager.get(topicId, 0);
      expect([undefined, 3]).toContain(after?.logEndOffset);
      if (isOver) expect(after).toBeUndefined();
      expect(files(world).filter((path) => path.includes('-delete'))).toEqual([]);
    }
  });

  test('a creation survives a power loss at any event', async () => {
    for (let stopAt = 0; stopAt < 30; stopAt++) {
      const world = new LogWorld(`create-${stopAt}`);
      await world.start();
      const start = world.simulation.eventCount;
      const created = world.manager.getOrCreate({ topic: 'topic', topicId, partition: 0, config: world.config });
      let isOver = false;
      void created.then(() => {
        isOver = true;
      });
      await world.simulation.runUntil(() => isOver || world.simulation.eventCount >= start + stopAt);
      world.node.losePower();
      const log = await world.open();
      expect([log.state.kind, log.logEndOffset]).toEqual(['open', 0]);
      expect(files(world).filter((path) => path.includes('-stray'))).toEqual([]);
    }
  });
});

function files(world: LogWorld): string[] {
  return [...world.node.disk.files().keys()];
}

function markOf(world: LogWorld): string | undefined {
  const path = `${dataDirectory}/.kafka_cleanshutdown`;
  return files(world).includes(path) ? Buffer.from(world.node.disk.contentOf(path)).toString() : undefined;
}

describe('a disk that takes no more', () => {
  test('fails the creation of a log as storage, not as a bug (row 56)', async () => {
    const world = new LogWorld('no room for a log');
    await world.open();
    world.node.disk.fillUpAfter(0);
    const creation = world.log('another', 'AAAAAAAAAAAAAAAAAAAAAQ');
    await expect(creation).rejects.toMatchObject({ name: 'StorageError', code: 'failed' });
  });
});
