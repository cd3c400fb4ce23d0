import { describeConfiguration, describeEntry, describeMessage, describeReady } from '../src/describe.ts';
import type { Raft } from '../src/raft.ts';
import type { Configuration, Entry, NodeId } from '../src/types.ts';
import { Checkers } from './checkers.ts';
import { type Envelope, SimulatedNode } from './cluster.ts';
import { Prng } from './prng.ts';
import { type Rules, soundRules } from './rules.ts';

/**
 * Runs a scenario: prose and commands, each followed by `----` and what happened. Lines that begin with `#` are prose. Timeouts are
 * without chance: node n campaigns after 9 + n ticks of silence, the first time after n; a heartbeat is due after two.
 *
 * | command | |
 * |---|---|
 * | `cluster 3` | nodes 1–3, all voters |
 * | `short-appends` | before `cluster`: one entry in each append |
 * | `spare 4` | a further node, which is no member |
 * | `given 2 terms 1 1 4 term 5` | before the start: node 2's log by its terms, and its term |
 * | `start` | starts everybody |
 * | `tick 1 [times]`, `campaign 1` | time, for one node |
 * | `propose 1 x y`, `read 1`, `transfer 1 2` | requests |
 * | `change 1 voters 1,2,4 learners 5` | membership |
 * | `sync 1` | what node 1 is writing becomes durable |
 * | `deliver [1→2 …]` | what is on its way now, all of it or on these links |
 * | `lose [1→2 …]` | the same, lost |
 * | `settle` | delivers and syncs until nothing is left to do |
 * | `quiet settle`, `quiet tick 1 3` … | without the trace |
 * | `cut 1`, `join` | takes a node's links away; gives all back |
 * | `crash 1`, `restart 1` | power loss; what is being written is lost |
 * | `compact 1 2` | takes a snapshot, keeps two entries before its end |
 * | `log 1`, `status` | what there is |
 */
export function runScenario(text: string, rules: Rules = soundRules): string {
  const scenario = new Scenario(rules);
  return `${text
    .split(/\n{2,}/)
    .map((block) => runBlock(scenario, block.trimEnd()))
    .join('\n\n')}\n`;
}

function runBlock(scenario: Scenario, block: string): string {
  const lines = block.split('\n');
  const separator = lines.indexOf('----');
  const head = separator < 0 ? lines : lines.slice(0, separator);
  const commands = head.filter((line) => line !== '' && !line.startsWith('#'));
  if (commands.length === 0) return block;
  const output = commands.flatMap((command) => scenario.command(command));
  return [...head, '----', ...(output.length === 0 ? ['ok'] : output)].join('\n');
}

class Scenario {
  readonly #rules: Rules;
  readonly #nodes = new Map<NodeId, SimulatedNode>();
  readonly #checkers = new Checkers();
  #voters: NodeId[] = [];
  #network: Envelope[] = [];
  readonly #cut = new Set<NodeId>();
  #trace: string[] = [];
  #appendBytesMax = 1_000;

  constructor(rules: Rules) {
    this.#rules = rules;
  }

  command(line: string): string[] {
    this.#trace = [];
    const words = line.split(' ');
    const quiet = words[0] === 'quiet';
    if (quiet) words.shift();
    this.#run(words[0] ?? '', words.slice(1));
    return quiet ? [] : this.#trace;
  }

  #run(verb: string, words: readonly string[]): void {
    const [first = '', second = ''] = words;
    const id = Number(first);
    switch (verb) {
      case 'cluster':
        this.#voters = Array.from({ length: id }, (_, at) => at + 1);
        for (const voter of this.#voters) this.#add(voter);
        break;
      case 'short-appends':
        this.#appendBytesMax = 1;
        break;
      case 'spare':
        this.#add(id);
        break;
      case 'given':
        this.#given(id, words.slice(1));
        break;
      case 'start':
        for (const node of this.#nodes.values()) node.start();
        break;
      case 'tick':
        for (let times = Number(second || 1); times > 0; times -= 1) this.#act(id, (raft) => raft.tick());
        break;
      case 'campaign':
        this.#act(id, (raft) => raft.campaign());
        break;
      case 'propose':
        this.#act(id, (raft) => {
          for (const data of words.slice(1)) this.#tell(id, raft.propose(Buffer.from(data)));
        });
        break;
      case 'read':
        this.#node(id).read();
        break;
      case 'transfer':
        this.#act(id, (raft) => raft.transferLeadership(Number(second)));
        break;
      case 'change':
        this.#change(id, words.slice(1));
        break;
      case 'sync':
        this.#node(id).finishWrite();
        break;
      case 'deliver':
      case 'lose':
        this.#deliver(words, verb === 'lose');
        break;
      case 'settle':
        this.#settle();
        break;
      case 'cut':
        this.#cut.add(id);
        break;
      case 'join':
        this.#cut.clear();
        break;
      case 'crash':
        this.#node(id).writing = undefined;
        this.#node(id).crash();
        break;
      case 'restart':
        this.#node(id).start();
        break;
      case 'compact':
        this.#node(id).compact(Number(second));
        break;
      case 'log':
        this.#printLog(id);
        break;
      case 'status':
        for (const node of this.#nodes.values()) this.#printStatus(node);
        break;
      default:
        throw new Error(`unknown command ${verb}`);
    }
  }

  #add(id: NodeId): void {
    const configuration: Configuration = { voters: this.#voters, outgoing: [], learners: [] };
    const options = {
      nodes: [],
      configuration,
      rules: this.#rules,
      limits: { appendBytesMax: this.#appendBytesMax },
      // Chooses nothing: see the timeouts above.
      random: Object.assign(new Prng(0), { float: () => (id - 1) / 10 }),
      checkers: this.#checkers,
    };
    const node = new SimulatedNode(id, options, (envelope) => this.#network.push(envelope));
    node.onReady = (ready) => this.#trace.push(...describeReady(ready).map((line) => `${id}: ${line}`));
    this.#nodes.set(id, node);
  }

  #node(id: NodeId): SimulatedNode {
    const node = this.#nodes.get(id);
    if (node === undefined) throw new Error(`no node ${id}`);
    return node;
  }

  #act(id: NodeId, action: (raft: Raft) => void): void {
    const node = this.#node(id);
    if (node.raft) action(node.raft);
    node.work();
  }

  #tell(id: NodeId, proposal: { readonly ok: boolean; readonly reason?: string }): void {
    if (!proposal.ok) this.#trace.push(`${id}: refused, ${proposal.reason}`);
  }

  #given(id: NodeId, words: readonly string[]): void {
    const termAt = words.indexOf('term');
    const terms = words.slice(1, termAt).map(Number);
    const { disk } = this.#node(id);
    disk.entries = terms.map((term, at): Entry => {
      return { index: at + 1, term, kind: 'command', data: Buffer.from(`${at + 1}.${term}`) };
    });
    disk.hardState = { term: Number(words[termAt + 1]), vote: 0, commit: 0 };
  }

  #change(id: NodeId, words: readonly string[]): void {
    const list = (name: string): number[] => {
      const at = words.indexOf(name);
      return at < 0 ? [] : (words[at + 1] ?? '').split(',').map(Number);
    };
    const change = { voters: list('voters'), learners: list('learners') };
    this.#act(id, (raft) => this.#tell(id, raft.proposeConfiguration(change)));
  }

  #deliver(links: readonly string[], lost: boolean): void {
    const chosen = ({ message }: Envelope): boolean =>
      links.length === 0 || links.includes(`${message.from}→${message.to}`);
    const moving = this.#network.filter(chosen);
    this.#network = this.#network.filter((envelope) => !chosen(envelope));
    for (const envelope of moving) {
      const { from, to } = envelope.message;
      if (lost || this.#cut.has(from) || this.#cut.has(to)) this.#lose(envelope, !lost);
      else this.#node(to).receive(envelope);
    }
  }

  #lose({ message }: Envelope, silently: boolean): void {
    if (!silently) this.#trace.push(`lost ${describeMessage(message)}`);
    if (message.kind === 'snapshot') this.#node(message.from).raft?.reportSnapshot(message.to, false);
  }

  #settle(): void {
    const busy = (): boolean => this.#network.length > 0 || [...this.#nodes.values()].some((node) => node.writing);
    while (busy()) {
      for (const node of this.#nodes.values()) node.finishWrite();
      this.#deliver([], false);
    }
  }

  #printLog(id: NodeId): void {
    const { disk } = this.#node(id);
    const start = disk.snapshot ? [`snapshot ${disk.snapshot.meta.index}/t${disk.snapshot.meta.term}`] : [];
    this.#trace.push(`${id}: ${[...start, ...disk.entries.map(describeEntry)].join(', ')}`);
  }

  #printStatus(node: SimulatedNode): void {
    const status = node.raft?.status();
    if (status === undefined) {
      this.#trace.push(`${node.id}: down`);
      return;
    }
    const { role, term, leader, commitIndex, lastIndex, configuration } = status;
    const leads = role === 'follower' ? ` of ${leader === 0 ? 'nobody' : leader}` : '';
    const members = describeConfiguration(configuration);
    this.#trace.push(`${node.id}: ${role}${leads} t${term} commit ${commitIndex} last ${lastIndex} ${members}`);
    for (const [id, progress] of status.progress) {
      if (id === node.id) continue;
      this.#trace.push(`${node.id}:   ${id} ${progress.state} match ${progress.match} next ${progress.next}`);
    }
  }
}
