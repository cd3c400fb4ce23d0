import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Agent } from '../../cluster/agent.ts';
import { delay } from '../../cluster/monotonic.ts';
import { type ChaosNetwork, client } from '../../network/network.ts';
import { type MemberEvent, type MemberHistories, parseMember } from './group-history.ts';
import type { MemberOptions } from './member.ts';

export interface GroupMembersOptions {
  readonly network: ChaosNetwork;
  readonly directory: string;
  readonly member: Omit<MemberOptions, 'historyFile'>;
}

const joinTimeoutMs = 30_000;

/** The members of the group as processes: they come, go, die and stand still. */
export class GroupMembers {
  readonly #options: GroupMembersOptions;
  readonly #living = new Map<string, Agent>();
  readonly #names: string[] = [];

  constructor(options: GroupMembersOptions) {
    this.#options = options;
  }

  /** Names of those that neither left nor died, the oldest first. */
  get living(): readonly string[] {
    return [...this.#living.keys()];
  }

  /** A new one; returns its name. */
  async join(): Promise<string> {
    const { network, directory, member } = this.#options;
    const name = `member-${this.#names.length + 1}`;
    this.#names.push(name);
    const agent = new Agent({
      script: new URL('./member.ts', import.meta.url),
      commandPrefix: network.commandPrefix(client),
      errorFile: join(directory, 'members.txt'),
      onStarted: (pid) => network.started(client, pid),
    });
    this.#living.set(name, agent);
    await agent.ask({ command: 'join', options: { ...member, historyFile: this.#fileOf(name) } });
    return name;
  }

  /** In order: the others get its partitions at once. */
  async leave(name: string): Promise<void> {
    const agent = this.#take(name);
    await agent.ask({ command: 'leave' });
    await agent.close();
  }

  /** SIGKILL. */
  async kill(name: string): Promise<void> {
    const agent = this.#take(name);
    agent.signal('SIGKILL');
    await agent.close();
  }

  pause(name: string): void {
    this.#living.get(name)?.signal('SIGSTOP');
  }

  resumeAll(): void {
    for (const agent of this.#living.values()) agent.signal('SIGCONT');
  }

  /** Until the group is complete: every partition has been given out, and everybody has been given some. */
  async awaitAssignment(partitions: number): Promise<void> {
    const deadline = performance.now() + joinTimeoutMs;
    const owned = (name: string) => ownedBy(this.#eventsOf(name));
    const isComplete = () => {
      const all = this.living.map(owned);
      return all.every((set) => set.size > 0) && all.reduce((sum, set) => sum + set.size, 0) === partitions;
    };
    while (!isComplete()) {
      if (performance.now() > deadline) throw new Error(`the group was not complete after ${joinTimeoutMs} ms`);
      await delay(50);
    }
  }

  /** Whoever is there leaves. */
  async close(): Promise<void> {
    this.resumeAll();
    await Promise.all(this.living.map((name) => this.#take(name).close()));
  }

  get histories(): MemberHistories {
    return new Map(this.#names.map((name) => [name, this.#eventsOf(name)]));
  }

  #take(name: string): Agent {
    const agent = this.#living.get(name);
    if (agent === undefined) throw new Error(`${name} is no member`);
    this.#living.delete(name);
    return agent;
  }

  #eventsOf(name: string): MemberEvent[] {
    try {
      return parseMember(readFileSync(this.#fileOf(name), 'utf8'));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      return [];
    }
  }

  #fileOf(name: string): string {
    return join(this.#options.directory, `${name}.jsonl`);
  }
}

function ownedBy(events: readonly MemberEvent[]): ReadonlySet<number> {
  const owned = new Set<number>();
  for (const event of events) {
    if (event.kind === 'assigned') for (const partition of event.partitions) owned.add(partition);
    if (event.kind === 'given-up') for (const partition of event.partitions) owned.delete(partition);
  }
  return owned;
}
