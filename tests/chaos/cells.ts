import { clockFaults } from './faults/clocks.ts';
import { diskFaults } from './faults/disks.ts';
import type { Fault } from './faults/fault.ts';
import { groupFaults } from './faults/groups.ts';
import { memberFaults } from './faults/members.ts';
import { networkFaults } from './faults/networks.ts';
import { processFaults } from './faults/processes.ts';
import { type Workload, type WorkloadName, workloads } from './workload/workloads.ts';

/** A workload under a fault: what is run, judged and reported by itself. */
export interface Cell {
  /** `steady/kill-leader`. */
  readonly name: string;
  readonly workload: Workload;
  readonly fault: Fault;
}

export const faults: readonly Fault[] = [
  ...processFaults,
  ...networkFaults,
  ...diskFaults,
  ...clockFaults,
  ...memberFaults,
];

/** Which faults a workload meets, beside `steady`, which meets all of these. */
const meets: Readonly<Record<Exclude<WorkloadName, 'steady'>, readonly string[]>> = {
  many: [
    'kill-leader',
    'kill-everything',
    'pause-leader',
    'cut-leader',
    'bounce-all-brokers',
    'rolling-restart',
    'power-loss-everything',
  ],
  large: ['kill-leader', 'kill-all-brokers', 'cut-leader', 'stall-all', 'power-loss-all-brokers', 'full-disk-leader'],
  packed: ['kill-leader', 'cut-flapping', 'power-loss-everything'],
  cached: ['kill-leader', 'kill-everything', 'bounce-leader', 'pause-leader', 'cut-leader', 'rolling-restart'],
  plain: ['kill-leader', 'pause-everything', 'cut-flapping', 'kill-any'],
  single: ['kill-leader', 'kill-everything', 'cut-leader', 'power-loss-all-brokers'],
  groups: [
    ...groupFaults.map(({ name }) => name),
    'kill-everything',
    'bounce-all-brokers',
    'rolling-restart',
    'cut-clients',
    'power-loss-everything',
  ],
  'groups-cooperative': ['group-storm', 'members-come-and-go', 'kill-members', 'rolling-restart'],
  kafkajs: ['none', 'kill-leader', 'kill-everything', 'cut-leader', 'pause-leader', 'rolling-restart', 'kill-any'],
  java: ['none', 'kill-leader', 'kill-everything', 'cut-leader', 'pause-leader', 'rolling-restart', 'kill-any'],
};

function cell(workload: Workload, fault: Fault): Cell {
  return { name: `${workload.name}/${fault.name}`, workload, fault };
}

function faultNamed(name: string): Fault {
  const fault = [...faults, ...groupFaults].find((one) => one.name === name);
  if (fault === undefined) throw new Error(`no fault '${name}'`);
  return fault;
}

export const cells: readonly Cell[] = [
  ...faults.map((fault) => cell(workloads.steady, fault)),
  ...Object.entries(meets).flatMap(([workload, names]) =>
    names.map((name) => cell(workloads[workload as WorkloadName], faultNamed(name))),
  ),
];

/** One of each kind first, for a run that has only minutes. */
export const smokeCells: readonly string[] = [
  'steady/kill-leader',
  'steady/power-loss-everything',
  'groups/group-storm',
  'steady/cut-leader',
  'many/kill-everything',
  'steady/pause-leader',
  'kafkajs/kill-leader',
  'steady/rolling-restart',
  'steady/kill-coordinator-leader',
  'steady/cut-leader-from-coordinators',
  'steady/damage-log-of-follower',
  'steady/failing-sync-leader',
  'steady/clock-strobe',
  'cached/bounce-leader',
  'steady/recycle-coordinator-leader',
  'steady/cut-flapping',
  'large/kill-leader',
  'steady/cut-leader-outgoing',
  'steady/damage-empty-leader',
  'single/kill-everything',
  'steady/kill-leaders-in-turn',
  'steady/full-disk-leader',
  'steady/delay-all',
  'java/kill-leader',
  'steady/kill-any',
];
