import { createHash } from 'node:crypto';
import { silentLogger } from '@naru/observability';
import type { LogIndex, NodeId } from '@naru/raft';
import { assert } from '@naru/runtime';
import { createSimulation, type SimulatedNode, type Simulation } from '@naru/runtime/simulated';
import { Quorum } from '../quorum.ts';
import type { CommittedCommand, StateMachine, StateSnapshot } from '../state-machine.ts';

/** What every node must agree on: the hash chain of applied commands by index (Z4), and with it the state (Z7). */
export class Agreement {
  readonly #chains = new Map<LogIndex, string>();
  #max: LogIndex = 0;

  get max(): LogIndex {
    return this.#max;
  }

  check(index: LogIndex, chain: string): void {
    const known = this.#chains.get(index);
    assert(known === undefined || known === chain, `Z4: two histories at ${index}`);
    this.#chains.set(index, chain);
    this.#max = Math.max(this.#max, index);
  }
}

/** Keeps all commands, so that acknowledged ones can be looked for, and the chain of their hashes. */
export class ChainMachine implements StateMachine {
  readonly #agreement: Agreement;
  commands: string[] = [];
  #chain = '';
  restores = 0;

  constructor(agreement: Agreement) {
    this.#agreement = agreement;
  }

  get chain(): string {
    return this.#chain;
  }

  apply(command: CommittedCommand): unknown {
    const text = Buffer.from(command.data).toString();
    this.commands.push(text);
    this.#chain = createHash('md5')
      .update(this.#chain)
      .update(`${command.index} ${command.term} ${text}`)
      .digest('base64');
    this.#agreement.check(command.index, this.#chain);
    return this.commands.length;
  }

  snapshot(): StateSnapshot {
    const pieces = [Buffer.from(this.#chain), Buffer.from('\n'), Buffer.from(this.commands.join(','))];
    return { [Symbol.iterator]: () => pieces.values(), release: () => {} };
  }

  restore(bytes: Uint8Array): void {
    const [chain = '', commands = ''] = Buffer.from(bytes).toString().split('\n');
    this.#chain = chain;
    this.commands = commands === '' ? [] : commands.split(',');
    this.restores += 1;
  }
}

export interface Member {
  readonly id: NodeId;
  readonly node: SimulatedNode;
  quorum: Quorum | undefined;
  machine: ChainMachine;
  /** What stopped it; a simulated disk that was not told to fail must never do that. */
  failure: Error | undefined;
}

/** Coordinators without their tree, in a simulated world. */
export class SimulatedCluster {
  readonly sim: Simulation;
  readonly agreement = new Agreement();
  readonly members: Member[];
  /** Of all lives of all nodes. */
  readonly failures: Error[] = [];
  readonly #initial: number;

  constructor(seed: number | string, size: number, spare = 0) {
    this.sim = createSimulation({ seed });
    this.#initial = size;
    this.members = Array.from({ length: size + spare }, (_, at) => {
      const node = this.sim.addNode(`c${at + 1}`);
      return { id: at + 1, node, quorum: undefined, machine: new ChainMachine(this.agreement), failure: undefined };
    });
  }

  async startAll(): Promise<void> {
    await this.sim.complete(Promise.all(this.members.slice(0, this.#initial).map((member) => this.start(member))));
  }

  async start(member: Member): Promise<void> {
    const { id, node } = member;
    const life = node.lives;
    const machine = new ChainMachine(this.agreement);
    const members = this.members.slice(0, this.#initial).map((other) => this.address(other.id));
    const options = {
      nodeId: id,
      clusterId: 'simulated',
      dataDirectory: '/data',
      members,
      listenAddress: { host: node.name, port: 2888 },
      snapshots: { thresholdEntries: 40, tailEntries: 10 },
    };
    const quorum = await Quorum.open(node.runtime, options, machine, silentLogger);
    if (node.lives !== life) return;
    member.machine = machine;
    member.quorum = quorum;
    quorum.onFailure((error) => {
      member.failure = error;
      this.failures.push(error);
    });
  }

  address(id: NodeId): { id: NodeId; peerAddress: string; clientAddress: string } {
    return { id, peerAddress: `c${id}:2888`, clientAddress: `c${id}:2181` };
  }

  stop(member: Member, how: 'crash' | 'power'): void {
    member.quorum = undefined;
    if (how === 'crash') member.node.crash();
    else member.node.losePower();
  }

  restart(member: Member): Promise<void> {
    member.node.restart();
    return this.start(member);
  }

  get leader(): Member | undefined {
    return this.members.find((member) => member.node.alive && member.quorum?.status().serving);
  }

  async awaitLeader(): Promise<Quorum> {
    await this.sim.runUntil(() => this.leader !== undefined);
    return this.leader?.quorum as Quorum;
  }

  /** Everybody who runs has applied the same. */
  async awaitAgreement(members = this.members.filter(({ quorum }) => quorum)): Promise<void> {
    await this.sim.runUntil(() => {
      const [first, ...others] = members.map(({ quorum }) => quorum?.status());
      const applied = first?.appliedIndex;
      return applied === first?.commitIndex && others.every((other) => other?.appliedIndex === applied);
    });
  }
}
