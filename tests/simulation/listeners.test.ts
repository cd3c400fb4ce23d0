import { BatchBuilder } from '@naru/record';
import { brokerMethods, groupMethods, type RpcChannel, replicationMethods, type broker as wire } from '@naru/rpc';
import { beforeEach, describe, expect, test } from 'vitest';
import { SimulatedCluster } from './simulated-cluster.ts';

const clientsPort = 9092;
const brokersPort = 9093;
const brokerConfig = {
  // No host: each is known by the name of its machine.
  listeners: `CLIENTS://:${clientsPort},BROKERS://:${brokersPort}`,
  'listener.security.protocol.map': 'CLIENTS:PLAINTEXT,BROKERS:PLAINTEXT',
  'inter.broker.listener.name': 'BROKERS',
};

describe('several listeners (KIP-103)', () => {
  let cluster: SimulatedCluster;

  beforeEach(async () => {
    cluster = await SimulatedCluster.start({ seed: 1, brokerConfig });
    await cluster.createTopic('t', 1, 3, { 'min.insync.replicas': '2' });
  });

  const connect = (port: number): Promise<RpcChannel> =>
    cluster.sim.complete(cluster.rpc.connect({ host: 'b1', port }));

  test('metadata and coordinators are told with the addresses of the listener on which they were asked', async () => {
    for (const port of [clientsPort, brokersPort]) {
      const channel = await connect(port);
      const { brokers } = await cluster.sim.complete(
        channel.call(brokerMethods.metadata, { topics: [], allTopics: false }),
      );
      expect(brokers.map((broker) => `${broker.host}:${broker.port}`).sort()).toEqual(
        ['b1', 'b2', 'b3'].map((host) => `${host}:${port}`),
      );
      let found = -1;
      while (found < 0) {
        const asked = channel.call(groupMethods.findCoordinator, { keyType: 0, keys: ['g'] });
        found = (await cluster.sim.complete(asked)).coordinators[0]?.port ?? -1;
        await cluster.sim.runFor(100);
      }
      expect(found).toBe(port);
    }
  });

  test('brokers replicate over the listener that is theirs', async () => {
    const leader = await cluster.untilLed('t', 0);
    const channel = await cluster.sim.complete(cluster.rpc.connect(cluster.addressOf(leader)));
    const stream = channel.open(brokerMethods.produce);
    let answer: wire.PartitionAppended | undefined;
    stream.handle({
      onMessage: ({ partitions }) => {
        answer = partitions[0];
      },
      onClose: () => {},
    });
    const builder = new BatchBuilder();
    builder.append(null, Buffer.from('x'), 1_000);
    const records = { topic: 't', topicId: '', partition: 0, records: builder.close() };
    stream.send({ correlationId: 1, acks: -1, timeoutMs: 5_000, partitions: [records] });
    await cluster.sim.runUntil(() => answer !== undefined);
    expect(answer?.errorCode).toBe(0);
  });

  test('CVE-2018-1288: nobody becomes a follower, nor asks the controller, by the listener of clients', async () => {
    const ended = async (port: number): Promise<string | undefined> => {
      const stream = (await connect(port)).open(replicationMethods.fetch);
      let code: string | undefined;
      stream.handle({
        onMessage: () => {},
        onClose: (error) => {
          code = error?.code;
        },
      });
      stream.send({
        replicaId: 9,
        brokerEpoch: 1,
        wantData: true,
        maxWaitMs: 1,
        maxBytes: 1,
        partitionMaxBytes: 1,
        forgotten: [],
        partitions: [],
      });
      await cluster.sim.runUntil(() => code !== undefined);
      return code;
    };
    expect(await ended(clientsPort)).toBe('unimplemented');
    // Here it is served, and refuses whom it does not know.
    expect(await ended(brokersPort)).toBe('failed-precondition');
  });
});
