import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { beforeAll, describe, expect, test } from 'vitest';
import { createTopic } from '../../bench/described.ts';
import { type Finished, launcher, run } from './commands.ts';
import { TestCluster } from './test-cluster.ts';

// What `kafka-configs.sh` of Apache Kafka 4.3 prints against the same brokers.

const cluster = new TestCluster({ brokers: 1, coordinators: 1 });

beforeAll(async () => {
  for (const name of ['t', 'u']) await createTopic(cluster.client, { name, partitions: 1, replicationFactor: 1 });
}, 60_000);

const configs = cluster.tool('kafka-configs.sh');

const printed = (...lines: string[]): Finished => ({
  status: 0,
  stdout: lines.map((line) => `${line}\n`).join(''),
  stderr: '',
});

const failed = (stderr: string): Finished => ({ status: 1, stdout: '', stderr: `${stderr}\n` });

const retention =
  '  retention.ms=0 sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:retention.ms=0, DEFAULT_CONFIG:retention.ms=604800000}';

test('a topic: set, shown with where else the value could come from, taken back; both ways to name it', async () => {
  const done = printed('Completed updating config for topic t.');
  expect(await configs('--topic', 't', '--describe')).toEqual(printed('Dynamic configs for topic t are:'));
  expect(await configs('--topic', 't', '--add-config', 'retention.ms=0', '--alter')).toEqual(done);
  const entity = ['--entity-type', 'topics', '--entity-name', 't'];
  expect(await configs('--alter', ...entity, '--add-config', 'cleanup.policy=[compact,delete]')).toEqual(done);
  expect(await configs('--describe', ...entity)).toEqual(
    printed(
      'Dynamic configs for topic t are:',
      '  cleanup.policy=compact,delete sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:cleanup.policy=compact,delete, DEFAULT_CONFIG:cleanup.policy=delete}',
      retention,
    ),
  );
  expect(await configs('--topic', 't', '--alter', '--delete-config', 'cleanup.policy,flush.ms')).toEqual(done);
  const all = await configs('--topic', 't', '--describe', '--all');
  expect(all.stdout.split('\n').slice(0, 2)).toEqual([
    'All configs for topic t are:',
    '  cleanup.policy=delete sensitive=false synonyms={DEFAULT_CONFIG:cleanup.policy=delete}',
  ]);
  expect(all.stdout).toContain(`${retention}\n`);
  expect(await configs('--entity-type', 'topics', '--describe')).toEqual(
    printed('Dynamic configs for topic t are:', retention, 'Dynamic configs for topic u are:'),
  );
});

test('brokers: one of them, all of them', async () => {
  const file = cluster.file('added.properties', 'log.retention.ms=7200000\n');
  expect(await configs('--alter', '--broker-defaults', '--add-config-file', file)).toEqual(
    printed('Completed updating default config for brokers in the cluster.'),
  );
  const shared = [
    'Default configs for brokers in the cluster are:',
    '  log.retention.ms=7200000 sensitive=false synonyms={DYNAMIC_DEFAULT_BROKER_CONFIG:log.retention.ms=7200000}',
  ];
  expect(await configs('--describe', '--entity-type', 'brokers', '--entity-default')).toEqual(printed(...shared));
  expect(await configs('--describe', '--entity-type', 'brokers')).toEqual(
    printed('Dynamic configs for broker 1 are:', ...shared),
  );
  const all = await configs('--broker', '1', '--describe', '--all');
  expect(all.stdout.split('\n')[0]).toBe('All configs for broker 1 are:');
  expect(all.stdout).toContain('  broker.id=1 sensitive=false synonyms={STATIC_BROKER_CONFIG:broker.id=1}\n');
});

test('what cannot be is said in a line', async () => {
  const wrong = 'Error while executing config command:';
  expect(await configs('--topic', 'missing', '--describe')).toEqual(failed(`${wrong} Topic 'missing' does not exist.`));
  expect(await configs('--topic', 't', '--alter', '--add-config', 'retention.mss=1')).toEqual(
    failed(`${wrong} unknown configuration key 'retention.mss'; did you mean 'retention.ms'?`),
  );
  expect(await configs('--broker', '9', '--describe')).toEqual(failed('broker 9 is not there; there are 1'));
  const hint = '(naru configs --help shows the flags)';
  expect(await configs('--topic', 't')).toEqual(failed(`give exactly one of --describe, --alter ${hint}`));
  expect(await configs('--entity-type', 'user', '--describe')).toEqual(
    failed(`--entity-type must be topics or brokers here, not 'user' ${hint}`),
  );
  const groups = "groups have no settings of their own yet; the brokers' group.* hold for all of them";
  const alter = ['--alter', '--add-config', 'consumer.session.timeout.ms=50000'];
  expect(await configs('--entity-type', 'groups', '--entity-name', 'g', ...alter)).toEqual(
    failed(`--entity-type must be topics or brokers here, not 'groups': ${groups} ${hint}`),
  );
  expect(await configs('--group=g', ...alter)).toEqual(failed(`--group: ${groups} ${hint}`));
  expect(await configs('--client-defaults', '--describe')).toEqual(
    failed(`--client-defaults: there are no quotas yet ${hint}`),
  );
});

test('kafka-topics says who changes settings and replicas of a topic that is there', async () => {
  const topics = (...argv: string[]): Promise<Finished> =>
    cluster.run('kafka-topics.sh', ['--alter', '--topic', 't', ...argv]);
  const hint = '(naru topics --help shows the flags)';
  expect(await topics('--partitions', '2', '--config', 'retention.ms=5')).toEqual(
    failed(`--config goes with --create; kafka-configs.sh changes the settings of a topic that is there ${hint}`),
  );
  expect(await topics('--partitions', '2', '--replication-factor', '2')).toEqual(
    failed(`--replication-factor goes with --create; kafka-reassign-partitions.sh changes the replicas ${hint}`),
  );
});

describe('kafka-server-start.sh with a server.properties of Kafka', () => {
  const ofKafka = `
process.roles=broker,controller
node.id=2
controller.quorum.bootstrap.servers=localhost:9093
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:0
num.io.threads=8
`;

  test('says how to name the coordinators', async () => {
    expect(await run('kafka-server-start.sh', [cluster.file('kafka.properties', ofKafka)])).toEqual(
      failed(
        "broker: configuration 'controller.quorum.bootstrap.servers' cannot be used: name the coordinators with 'coordinator.connect', as 127.0.0.1:2181; then this key may stay",
      ),
    );
  });

  test('then starts, and says once what has no effect and why', async () => {
    const coordinator = `coordinator.connect=localhost:${2181 + cluster.local.layout.portOffset}`;
    const own = [`log.dirs=${cluster.path('kafka-logs')}`, 'controlled.shutdown.enable=false'];
    const overrides = [coordinator, ...own].flatMap((setting) => ['--override', setting]);
    const file = cluster.file('kafka.properties', ofKafka);
    const child = spawn(launcher('kafka-server-start.sh'), [file, ...overrides], { stdio: ['ignore', 'pipe', 'pipe'] });
    const told = text(child.stderr);
    const [ready] = await once(child.stdout, 'data');
    expect(`${ready}`).toMatch(/^ready broker 2 on 127\.0\.0\.1:\d+\n$/);
    child.kill('SIGTERM');
    expect(await told).toBe(
      [
        'process.roles (this process is a broker; coordinators are processes of their own)',
        'controller.quorum.bootstrap.servers, controller.listener.names (there is no KRaft; coordinator.connect and session.timeout.ms count)',
        'num.io.threads (one event loop does the work of these threads)',
      ]
        .map((remark) => `broker: without effect: ${remark}\n`)
        .join(''),
    );
  });
});
