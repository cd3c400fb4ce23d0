import { readdirSync, rmSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { brokerNames, coordinatorNames, nodeNames } from '../cluster/chaos-cluster.ts';
import { filesBelow, flipBit, losePower } from '../cluster/power-loss.ts';
import type { Endpoint } from '../network/network.ts';
import type { Fault, FaultContext, Targets } from './fault.ts';

type Choice = (targets: Targets) => readonly Endpoint[];

/** The nodes lose their power together, the files what was not synced; they start again in the middle of the fault. */
function powerLoss(name: string, doc: string, isSurvivable: boolean, choose: Choice): Fault {
  return {
    name: `power-loss-${name}`,
    doc: `loss of power of ${doc}: what was not synced is lost, in part or torn`,
    isSurvivable,
    needs: ['shim'],
    losesPageCache: true,
    run: async (context) => {
      const victims = choose(context);
      await Promise.all(victims.map((victim) => context.cluster.node(victim).kill()));
      for (const victim of victims) {
        const node = context.cluster.node(victim);
        const lost = losePower(node.options.directory, context.shim(victim).journalFile, context.dice);
        context.note(
          `${victim}: ${lost.bytesLost} bytes lost, ${lost.bytesFlipped} flipped, ${lost.namesUndone} renames and removals undone`,
        );
      }
      await context.sleep(context.faultMs / 3);
      await context.cluster.startNodes(victims);
      await context.sleep(context.faultMs / 2);
    },
  };
}

function syncs(
  name: string,
  doc: string,
  isSurvivable: boolean,
  choose: Choice,
  how: { fails: boolean; delayMs: number },
): Fault {
  return {
    name,
    doc,
    isSurvivable,
    needs: ['shim'],
    run: async (context) => {
      const victims = choose(context);
      context.note(victims.join(', '));
      for (const victim of victims) context.shim(victim).setSyncs(how);
      await context.sleep(context.faultMs);
    },
  };
}

/** Something is done to the files of one node while it is down. At most one copy of anything is harmed. */
function damage(
  name: string,
  doc: string,
  choose: Choice,
  harm: (context: FaultContext, directory: string) => string,
  mayStayDown = false,
): Fault {
  return {
    name: `damage-${name}`,
    doc: `${doc}, while it is down`,
    isSurvivable: true,
    needs: [],
    mayStayDown,
    run: async (context) => {
      const victim = choose(context)[0] as Endpoint;
      const node = context.cluster.node(victim);
      await node.kill();
      context.note(`${victim}: ${harm(context, node.options.directory)}`);
      await context.sleep(context.faultMs / 6);
      await node.start().catch((error: Error) => {
        if (!mayStayDown) throw error;
        context.note(error.message);
      });
      await context.sleep(context.faultMs / 2);
    },
  };
}

function fullDisk(name: string, choose: Choice): Fault {
  return {
    name: `full-disk-${name}`,
    doc: `the disk of a ${name} is full`,
    isSurvivable: false,
    needs: ['mount'],
    run: async (context) => {
      const victim = choose(context)[0] as Endpoint;
      context.note(victim);
      context.fillDisk(victim);
      await context.sleep(context.faultMs);
      context.freeDisk(victim);
    },
  };
}

/** The largest file of a kind below a node's directory. */
function largest(directory: string, pattern: RegExp): string {
  const files = filesBelow(directory).filter((path) => pattern.test(path));
  const [first] = files.sort((a, b) => statSync(b).size - statSync(a).size);
  if (first === undefined) throw new Error(`no file like ${pattern} below ${directory}`);
  return first;
}

function short(path: string): string {
  return path.split('/').slice(-2).join('/');
}

function flip(context: FaultContext, path: string): string {
  const { size } = statSync(path);
  const at = Math.floor(context.dice() * size * 0.8);
  flipBit(path, at, Math.floor(context.dice() * 8));
  return `${short(path)}: bit flipped at ${at} of ${size}`;
}

const leader: Choice = (targets) => [targets.leader];
const follower: Choice = (targets) => targets.followers.slice(0, 1);
const coordinatorLeader: Choice = (targets) => [targets.coordinatorLeader];
const slow = { fails: false, delayMs: 1_000 };
const failing = { fails: true, delayMs: 0 };

export const diskFaults: readonly Fault[] = [
  powerLoss('everything', 'all six nodes', false, () => nodeNames),
  powerLoss('all-brokers', 'all brokers', false, () => brokerNames),
  powerLoss('all-coordinators', 'all coordinators', false, () => coordinatorNames),
  powerLoss('leader', 'the leader', true, leader),
  powerLoss('coordinator-leader', "the coordinators' leader", true, coordinatorLeader),
  syncs('failing-sync-leader', 'syncs of the leader fail with EIO (row 56)', true, leader, failing),
  syncs('failing-sync-follower', 'syncs of a follower fail with EIO (row 56)', true, follower, failing),
  syncs(
    'failing-sync-coordinator-leader',
    "syncs of the coordinators' leader fail with EIO",
    true,
    coordinatorLeader,
    failing,
  ),
  syncs('slow-sync-leader', 'a sync of the leader takes a second longer', true, leader, slow),
  syncs('slow-sync-follower', 'a sync of a follower takes a second longer', true, follower, slow),
  syncs(
    'slow-sync-coordinator-leader',
    "a sync of the coordinators' leader takes a second longer (row 27)",
    false,
    coordinatorLeader,
    slow,
  ),
  fullDisk('leader', leader),
  fullDisk('follower', follower),
  damage(
    'log-of-follower',
    'a bit flips in the middle of a log of a follower (row 57)',
    follower,
    (context, directory) => flip(context, largest(directory, /\.log$/)),
  ),
  damage(
    'log-of-leader',
    'a bit flips in the middle of a log of the leader (rows 21, 57)',
    leader,
    (context, directory) => flip(context, largest(directory, /\.log$/)),
  ),
  damage('cut-log-of-follower', 'a log of a follower is cut in half', follower, (_, directory) => {
    const path = largest(directory, /\.log$/);
    const { size } = statSync(path);
    truncateSync(path, Math.floor(size / 2));
    return `${short(path)}: ${size} bytes cut to ${Math.floor(size / 2)}`;
  }),
  damage(
    'checkpoints-of-follower',
    'bits flip in the checkpoints of a follower (row 62)',
    follower,
    (context, directory) =>
      filesBelow(directory)
        .filter((path) => /checkpoint$/.test(path) && statSync(path).size > 0)
        .map((path) => flip(context, path))
        .join('; '),
  ),
  damage('empty-follower', 'the data directory of a follower is emptied (row 9)', follower, emptied),
  damage('empty-leader', 'the data directory of the leader is emptied (row 9)', leader, emptied),
  damage(
    'store-of-coordinator',
    'a bit flips in the store of a coordinator (row 63)',
    (targets) => targets.coordinatorFollowers.slice(0, 1),
    (context, directory) => flip(context, largest(directory, /\.(?:log|ldb)$/)),
    true,
  ),
];

function emptied(_: FaultContext, directory: string): string {
  const data = join(directory, 'data');
  for (const name of readdirSync(data)) rmSync(join(data, name), { recursive: true, force: true });
  return 'emptied';
}
