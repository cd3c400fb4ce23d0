import {
  CoordinatorError,
  type CoordinatorSession,
  changeMembership,
  coordinatorStatus,
  openSession,
  type SessionState,
  transferLeadership,
  type Znode,
} from '@naru/coordinator-client';
import { sleep } from '@naru/runtime';
import type { SimulatedNode } from '@naru/runtime/simulated';
import { describe, expect, test } from 'vitest';
import { faults, inject } from './testing/faults.ts';
import { isLinearizable, type RegisterOperation } from './testing/linearizability.ts';
import { SimulatedQuorum } from './testing/simulated-quorum.ts';

function bytes(text: string): Uint8Array {
  return Buffer.from(text);
}

function textOf(node: Znode | undefined): string | undefined {
  return node && Buffer.from(node.data).toString();
}

/** A copy of the tree that a watch keeps; checks on the way that no change is missing, double or out of order. */
class Mirror {
  readonly nodes = new Map<string, string>();
  readonly versions: number[] = [];
  zxid = 0;
  snapshots = 0;

  constructor(session: CoordinatorSession, path = '/') {
    session.watch(
      path,
      { recursive: true },
      {
        onSnapshot: (nodes, zxid) => {
          expect(zxid).toBeGreaterThanOrEqual(this.zxid);
          this.zxid = zxid;
          this.snapshots += 1;
          this.nodes.clear();
          for (const node of nodes) this.nodes.set(node.path, `${node.stat.version}:${textOf(node)}`);
        },
        onChanges: (changes, zxid) => {
          expect(zxid).toBeGreaterThan(this.zxid);
          this.zxid = zxid;
          for (const change of changes) {
            if (change.kind === 'deleted') expect(this.nodes.delete(change.path)).toBe(true);
            else {
              const before = this.nodes.get(change.node.path);
              expect(before === undefined).toBe(change.kind === 'created');
              if (before !== undefined) expect(change.node.stat.version).toBe(Number.parseInt(before, 10) + 1);
              this.nodes.set(change.node.path, `${change.node.stat.version}:${textOf(change.node)}`);
            }
          }
        },
      },
    );
  }
}

describe('sessions', () => {
  test('the ephemerals of a killed client are gone one grace after its connection broke (Z11)', async () => {
    const quorum = await SimulatedQuorum.start({ seed: 11 });
    const victim = quorum.addClient('victim');
    const session = await quorum.open(victim);
    const observer = await quorum.open(quorum.addClient('observer'));
    await quorum.sim.complete(session.write([{ kind: 'create', path: '/e', data: bytes(''), ephemeral: true }]));
    const mirror = new Mirror(observer);
    await quorum.sim.runUntil(() => mirror.nodes.has('/e'));
    const killedMs = quorum.sim.nowMs;
    victim.crash();
    await quorum.sim.runUntil(() => !mirror.nodes.has('/e'));
    expect(quorum.sim.nowMs - killedMs).toBeGreaterThan(990);
    expect(quorum.sim.nowMs - killedMs).toBeLessThan(1_200);
    await quorum.expectEqualStates();
  });

  test('a client whose machine vanished without a word is given its whole timeout (Z12)', async () => {
    const quorum = await SimulatedQuorum.start({ seed: 12 });
    const victim = quorum.addClient('victim');
    const session = await quorum.open(victim, { timeoutMs: 3_000 });
    const observer = await quorum.open(quorum.addClient('observer'));
    await quorum.sim.complete(session.write([{ kind: 'create', path: '/e', data: bytes(''), ephemeral: true }]));
    const mirror = new Mirror(observer);
    const lastTouchMs = quorum.sim.nowMs;
    victim.losePower({ silent: true });
    await quorum.sim.runUntil(() => mirror.snapshots > 0 && !mirror.nodes.has('/e'));
    expect(quorum.sim.nowMs - lastTouchMs).toBeGreaterThan(2_990);
    expect(quorum.sim.nowMs - lastTouchMs).toBeLessThan(3_200);
  });

  test('a living client keeps its session and its ephemerals when the leader is killed (row 27, Z12)', async () => {
    const quorum = await SimulatedQuorum.start({ seed: 13 });
    const session = await quorum.open(quorum.addClient('client'));
    const states: SessionState[] = [];
    session.onState((state) => states.push(state));
    await quorum.sim.complete(session.write([{ kind: 'create', path: '/e', data: bytes(''), ephemeral: true }]));
    for (let round = 0; round < 3; round += 1) {
      const leader = quorum.leader;
      quorum.crash(leader);
      await quorum.untilLeader(leader);
      await quorum.sim.runUntil(() => session.state === 'connected');
      await quorum.restart(leader);
      await quorum.sim.runFor(8_000);
    }
    const stat = await quorum.sim.complete(session.exists('/e'));
    expect(stat?.ephemeralOwner).toBe(session.id);
    expect(states).toEqual(['suspended', 'connected', 'suspended', 'connected', 'suspended', 'connected']);
    await quorum.expectEqualStates();
  });

  test('a session outlives an outage of the quorum that is far longer than its timeout (row 27)', async () => {
    const quorum = await SimulatedQuorum.start({ seed: 14 });
    const session = await quorum.open(quorum.addClient('client'), { timeoutMs: 2_000 });
    await quorum.sim.complete(session.write([{ kind: 'create', path: '/e', data: bytes(''), ephemeral: true }]));
    for (const id of quorum.ids) quorum.losePower(id, { unsynced: 'lost' });
    await quorum.sim.runFor(30_000);
    for (const id of quorum.ids) await quorum.restart(id);
    await quorum.sim.runUntil(() => session.state === 'connected');
    expect(await quorum.sim.complete(session.exists('/e'))).toBeDefined();
  });

  test('a client cut off longer than its timeout learns that it expired; calls then fail by name', async () => {
    const quorum = await SimulatedQuorum.start({ seed: 15 });
    const session = await quorum.open(quorum.addClient('client'), { timeoutMs: 2_000 });
    quorum.sim.network.isolate('client');
    await quorum.sim.runFor(5_000);
    expect(session.state).toBe('suspended');
    quorum.sim.network.healAll();
    await quorum.sim.runUntil(() => session.state === 'expired');
    const failure = await quorum.sim.complete(session.write([]).catch((error) => error));
    expect(failure).toMatchObject({ code: 'session-expired' });
  });

  test('close ends the session and its ephemerals at once', async () => {
    const quorum = await SimulatedQuorum.start({ seed: 16 });
    const session = await quorum.open(quorum.addClient('client'));
    const observer = await quorum.open(quorum.addClient('observer'));
    await quorum.sim.complete(session.write([{ kind: 'create', path: '/e', data: bytes(''), ephemeral: true }]));
    await quorum.sim.complete(session.close());
    expect(session.state).toBe('closed');
    expect(await quorum.sim.complete(observer.exists('/e'))).toBeUndefined();
  });

  test('without a coordinator openSession gives up when it was told to, and says why', async () => {
    const quorum = await SimulatedQuorum.start({ seed: 17 });
    for (const id of quorum.ids) quorum.crash(id);
    const client = quorum.addClient('client');
    const attempt = openSession(client.runtime, { servers: quorum.servers, connectTimeoutMs: 1_000 });
    const error = await quorum.sim.complete(attempt.catch((failure) => failure));
    expect(error).toBeInstanceOf(CoordinatorError);
    expect(error.message).toMatch(/c1:2181.*1000 ms.*refused/);
  });
});

describe('reads', () => {
  test('a leader that slept through an election answers no read from its old state (rows 28, 29)', async () => {
    const quorum = await SimulatedQuorum.start({ seed: 31 });
    const faithful = await quorum.open(quorum.addClient('faithful'), { timeoutMs: 20_000 });
    const restless = await quorum.open(quorum.addClient('restless'), { timeoutMs: 20_000 });
    await quorum.sim.complete(faithful.write([{ kind: 'create', path: '/a', data: bytes('old') }]));
    const leader = quorum.leader;
    quorum.host(leader).pause();
    quorum.sim.network.resetConnections(`c${leader}`, 'restless');
    await quorum.sim.runUntil(() => restless.state === 'suspended');
    await quorum.sim.complete(restless.write([{ kind: 'set-data', path: '/a', data: bytes('new') }]));
    const read = faithful.getData('/a');
    await quorum.sim.runFor(100);
    quorum.host(leader).resume();
    expect(textOf(await quorum.sim.complete(read))).toBe('new');
  });

  test('what a client wrote it reads, whoever leads meanwhile (session order)', async () => {
    const quorum = await SimulatedQuorum.start({ seed: 32 });
    const session = await quorum.open(quorum.addClient('client'));
    const writes = [session.write([{ kind: 'create', path: '/a', data: bytes('0') }])];
    for (let i = 1; i <= 50; i += 1)
      writes.push(session.write([{ kind: 'set-data', path: '/a', data: bytes(String(i)) }]));
    const read = session.getData('/a');
    const after = session.write([{ kind: 'set-data', path: '/a', data: bytes('after') }]);
    expect(textOf(await quorum.sim.complete(read))).toBe('50');
    await quorum.sim.complete(Promise.all([...writes, after]));
    quorum.crash(quorum.leader);
    expect(textOf(await quorum.sim.complete(session.getData('/a')))).toBe('after');
  });
});

describe('tools', () => {
  test('every node answers Status; leadership is handed over without losing a session', async () => {
    const quorum = await SimulatedQuorum.start({ seed: 21 });
    const client = quorum.addClient('client');
    const session = await quorum.open(client);
    const leader = quorum.leader;
    await quorum.sim.runFor(500);
    for (const id of quorum.ids) {
      const status = await quorum.sim.complete(coordinatorStatus(client.runtime, `c${id}:2181`));
      expect(status).toMatchObject({
        nodeId: id,
        leaderId: leader,
        leaderAddress: `c${leader}:2181`,
        sessions: 1,
        znodes: 1,
      });
      expect(status.role).toBe(id === leader ? 'leader' : 'follower');
      expect(status.members).toHaveLength(3);
    }
    const to = quorum.ids.find((id) => id !== leader) as number;
    await quorum.sim.complete(transferLeadership(client.runtime, `c${leader}:2181`, to));
    await quorum.sim.runUntil(() => quorum.leader === to && session.state === 'connected');
    expect(await quorum.sim.complete(session.getChildren('/'))).toEqual([]);
  });
});

test('the same seed gives the same run, event for event', async () => {
  const hashes = new Set<string>();
  for (let run = 0; run < 2; run += 1) {
    const quorum = await SimulatedQuorum.start({ seed: 51 });
    const session = await quorum.open(quorum.addClient('client'));
    for (const fault of ['crash-leader', 'isolate-leader', 'power-loss-of-all'] as const) {
      const write = session.write([{ kind: 'set-data', path: '/', data: bytes(fault) }]).catch(() => {});
      await quorum.sim.runFor(inject(quorum, fault) + 2_000);
      await quorum.sim.complete(write);
    }
    hashes.add(quorum.sim.traceHash);
  }
  expect(hashes.size).toBe(1);
});

describe('members', () => {
  test('a node joins, is promoted and stands in for one that is removed, under a session that goes on (Z15)', async () => {
    const quorum = await SimulatedQuorum.start({ seed: 41, config: { 'snapshot.threshold.entries': 20 } });
    const client = quorum.addClient('client');
    const session = await quorum.open(client);
    for (let i = 0; i < 50; i += 1) {
      await quorum.sim.complete(session.write([{ kind: 'set-data', path: '/', data: bytes(String(i)) }]));
    }
    await quorum.join(4);
    const member = (id: number) => ({ id, peerAddress: `c${id}:2888`, clientAddress: `c${id}:2181`, voter: true });
    const change = (kind: 'add-learner' | 'promote' | 'remove', id: number) =>
      quorum.sim.complete(changeMembership(client.runtime, `c${quorum.leader}:2181`, kind, member(id)));
    expect((await change('add-learner', 4)).find((each) => each.id === 4)?.voter).toBe(false);
    await quorum.sim.runUntil(() => (quorum.coordinator(4)?.status().appliedZxid ?? 0) > 50);
    // The leader hears of it.
    await quorum.sim.runFor(100);
    expect((await change('promote', 4)).find((each) => each.id === 4)?.voter).toBe(true);
    const removed = quorum.ids.find((id) => id !== quorum.leader) as number;
    expect((await change('remove', removed)).map((each) => each.id)).not.toContain(removed);
    quorum.crash(removed);
    await quorum.sim.complete(session.write([{ kind: 'set-data', path: '/', data: bytes('after') }]));
    await quorum.expectEqualStates();
    expect(session.state).toBe('connected');
    const refused = changeMembership(client.runtime, 'c4:2181', 'remove', member(1)).catch((error) => error);
    expect(await quorum.sim.complete(refused)).toMatchObject({ code: 'failed-precondition' });
  });
});

/** Works on its own path and on a shared one until it is told to stop; remembers what was acknowledged. */
class Worker {
  readonly id: number;
  readonly acknowledged: string[] = [];
  /** By register. */
  readonly histories = new Map<string, RegisterOperation[]>();
  /** The register that all workers use now: a new one for each fault keeps the histories short. */
  register = '';
  lastValue = 0;
  lastAcknowledged = 0;
  stopping = false;
  readonly #session: CoordinatorSession;
  readonly #node: SimulatedNode;
  readonly #nowMs: () => number;

  constructor(id: number, session: CoordinatorSession, node: SimulatedNode, nowMs: () => number) {
    this.id = id;
    this.#session = session;
    this.#node = node;
    this.#nowMs = nowMs;
  }

  async run(): Promise<void> {
    while (!this.stopping) {
      const { random, timers } = this.#node.runtime;
      const what = random.nextInt(4);
      if (what === 0) await this.#count();
      else if (what === 1) await this.#enlist();
      else await this.#useRegister();
      await sleep(timers, 20 + random.nextInt(150));
    }
  }

  async #count(): Promise<void> {
    this.lastValue += 1;
    const value = this.lastValue;
    const data = bytes(String(value));
    if (await this.#tried(this.#session.write([{ kind: 'set-data', path: `/counters/${this.id}`, data }])))
      this.lastAcknowledged = value;
  }

  async #enlist(): Promise<void> {
    const path = `/queue/${this.id}-`;
    const result = await this.#tried(
      this.#session.write([{ kind: 'create', path, data: bytes(''), sequential: true }]),
    );
    const created = result?.results[0]?.path;
    if (created !== undefined) this.acknowledged.push(created);
  }

  async #useRegister(): Promise<void> {
    const path = this.register;
    const history = this.histories.get(path) ?? [];
    this.histories.set(path, history);
    const calledMs = this.#nowMs();
    if (this.#node.runtime.random.nextInt(2) === 0) {
      const value = `${this.id}.${this.lastValue}`;
      const done = await this.#tried(this.#session.write([{ kind: 'set-data', path, data: bytes(value) }]));
      history.push({ kind: 'write', value, calledMs, returnedMs: done ? this.#nowMs() : Number.POSITIVE_INFINITY });
    } else {
      const value = textOf(await this.#session.getData(path));
      history.push({ kind: 'read', value: value === '' ? undefined : value, calledMs, returnedMs: this.#nowMs() });
    }
  }

  /** Undefined: the outcome is unknown. Anything else that fails is a bug. */
  async #tried<T>(attempt: Promise<T>): Promise<T | undefined> {
    try {
      return await attempt;
    } catch (error) {
      if (error instanceof CoordinatorError && error.code === 'connection-loss') return undefined;
      throw error;
    }
  }
}

describe.each([101, 102, 103, 104, 105, 106])('under faults, seed %i', (seed) => {
  test('no acknowledged write is lost, sessions live, watches see each change once, registers are linearizable (Z8, Z10, Z12)', async () => {
    const quorum = await SimulatedQuorum.start({
      seed,
      config: { 'snapshot.threshold.entries': 100, 'watch.history.entries': seed % 2 === 0 ? 65_536 : 8 },
    });
    const { sim } = quorum;
    const workers = await workersOf(quorum, 4);
    const observer = await quorum.open(quorum.addClient('observer'), { timeoutMs: 20_000 });
    const mirror = new Mirror(observer);
    await useRegister(quorum, observer, workers, '/register-0');
    const runs = Promise.all(workers.map((worker) => worker.run()));
    runs.catch(() => {});
    for (let round = 1; round <= 6; round += 1) {
      await useRegister(quorum, observer, workers, `/register-${round}`);
      await sim.runFor(1_000 + sim.random.nextInt(2_000));
      const fault = faults[sim.random.nextInt(faults.length)] ?? 'crash-leader';
      await sim.runFor(inject(quorum, fault) + 100);
    }
    await sim.runFor(5_000);
    for (const worker of workers) worker.stopping = true;
    await sim.complete(runs);
    await quorum.expectEqualStates();
    await expectNothingLost(quorum, observer, workers);
    const tree = await treeOf(quorum, observer);
    await sim.runUntil(() => [...mirror.nodes].length === tree.size);
    expect([...mirror.nodes].sort()).toEqual([...tree].sort());
    for (let round = 1; round <= 6; round += 1) {
      const history = workers.flatMap((worker) => worker.histories.get(`/register-${round}`) ?? []);
      expect(isLinearizable(history), `register ${round}`).toBe(true);
    }
    expect(workers.reduce((sum, worker) => sum + worker.acknowledged.length, 0)).toBeGreaterThan(50);
  });
});

async function workersOf(quorum: SimulatedQuorum, count: number): Promise<Worker[]> {
  const workers: Worker[] = [];
  for (let id = 1; id <= count; id += 1) {
    const client = quorum.addClient(`client-${id}`);
    const session = await quorum.open(client, { timeoutMs: 20_000 });
    if (id === 1) {
      const paths = ['/counters', '/queue', '/living'];
      await quorum.sim.complete(session.write(paths.map((path) => ({ kind: 'create', path, data: bytes('') }))));
    }
    await quorum.sim.complete(
      session.write([
        { kind: 'create', path: `/counters/${id}`, data: bytes('0') },
        { kind: 'create', path: `/living/${id}`, data: bytes(''), ephemeral: true },
      ]),
    );
    workers.push(new Worker(id, session, client, () => quorum.sim.nowMs));
  }
  return workers;
}

async function useRegister(
  quorum: SimulatedQuorum,
  session: CoordinatorSession,
  workers: readonly Worker[],
  path: string,
): Promise<void> {
  const write = session.write([{ kind: 'create', path, data: bytes('') }]);
  await quorum.sim.complete(
    write.catch(() => session.write([{ kind: 'create', path, data: bytes('') }]).catch(() => {})),
  );
  for (const worker of workers) worker.register = path;
}

async function expectNothingLost(
  quorum: SimulatedQuorum,
  session: CoordinatorSession,
  workers: readonly Worker[],
): Promise<void> {
  const queue = new Set((await quorum.sim.complete(session.getChildren('/queue')))?.map((name) => `/queue/${name}`));
  const living = await quorum.sim.complete(session.getChildren('/living'));
  expect(living).toEqual(workers.map((worker) => String(worker.id)));
  for (const worker of workers) {
    for (const path of worker.acknowledged) expect(queue.has(path), path).toBe(true);
    const counters = worker.acknowledged.map((path) => Number(path.slice(-10)));
    expect(counters).toEqual([...counters].sort((a, b) => a - b));
    const counter = Number(textOf(await quorum.sim.complete(session.getData(`/counters/${worker.id}`))));
    expect(counter).toBeGreaterThanOrEqual(worker.lastAcknowledged);
    expect(counter).toBeLessThanOrEqual(worker.lastValue);
  }
}

async function treeOf(quorum: SimulatedQuorum, session: CoordinatorSession, path = '/'): Promise<Map<string, string>> {
  const node = await quorum.sim.complete(session.getData(path));
  const tree = new Map([[path, `${node?.stat.version}:${textOf(node)}`]]);
  for (const name of (await quorum.sim.complete(session.getChildren(path))) ?? []) {
    const below = await treeOf(quorum, session, path === '/' ? `/${name}` : `${path}/${name}`);
    for (const [key, value] of below) tree.set(key, value);
  }
  return tree;
}

describe('an orderly stop of the leader', () => {
  test.each([1, 2, 3, 4, 5, 6])(
    'hands the leadership over first: writes wait for no election (thesis §3.10), seed %i',
    async (seed) => {
      const quorum = await SimulatedQuorum.start({ seed: 100 + seed });
      const client = quorum.addClient('client');
      const session = await quorum.open(client);
      await quorum.sim.complete(session.write([{ kind: 'create', path: '/w', data: bytes('') }]));
      let lastMs = quorum.sim.nowMs;
      let gapMs = 0;
      let isOver = false;
      const write = async (): Promise<void> => {
        while (!isOver) {
          await session
            .write([{ kind: 'set-data', path: '/w', data: bytes('x') }])
            .catch(() => sleep(client.runtime.timers, 1));
          gapMs = Math.max(gapMs, quorum.sim.nowMs - lastMs);
          lastMs = quorum.sim.nowMs;
        }
      };
      const writing = write();
      await quorum.sim.runFor(500);
      gapMs = 0;
      await quorum.sim.complete(quorum.stop(quorum.leader));
      await quorum.sim.runFor(2_000);
      isOver = true;
      await quorum.sim.complete(writing);
      expect(gapMs, 'virtual milliseconds; a usual write takes 3').toBeLessThan(30);
    },
  );
});
