import { type broker, brokerMethods, controllerMethods } from '@naru/rpc';
import type { ProducerIds } from '../cluster/producer-ids.ts';
import type { Controller } from '../controller/controller.ts';
import type { AdminDependencies } from './admin-dependencies.ts';
import { alterConfigs, alterConfigsAtController } from './alter-configs.ts';
import { controlledShutdownAtController } from './controlled-shutdown.ts';
import { createPartitions, createPartitionsAtController } from './create-partitions.ts';
import { createTopics, createTopicsAtController } from './create-topics.ts';
import { type DeleteRecordsDependencies, deleteRecords } from './delete-records.ts';
import { deleteTopics, deleteTopicsAtController } from './delete-topics.ts';
import { type DescribeConfigsDependencies, describeConfigs } from './describe-configs.ts';
import { type DescribeLogDirsDependencies, describeLogDirs } from './describe-log-dirs.ts';
import { describeProducers } from './describe-producers.ts';
import { electLeaders, electLeadersAtController } from './elect-leaders.ts';
import type { FetchHandler } from './fetch.ts';
import type { GroupDependencies } from './groups/group-dependencies.ts';
import { groupTable } from './groups/group-table.ts';
import { initProducerId } from './init-producer-id.ts';
import type { ListOffsetsHandler } from './list-offsets.ts';
import { metadata } from './metadata.ts';
import type { ProduceHandler } from './produce.ts';
import {
  alterPartitionReassignments,
  alterPartitionReassignmentsAtController,
  listPartitionReassignments,
} from './reassignments.ts';
import { entry, type UnaryEntry } from './unary-entry.ts';

/** What this broker serves to clients: the data path by name, everything else as a table. Both protocols dispatch by it. */
export interface RequestTable {
  readonly produce: ProduceHandler;
  readonly fetch: FetchHandler;
  /** What one produce request holds until its acks are fulfilled. */
  readonly produceCost: (request: broker.ProduceRequest) => number;
  readonly unary: readonly UnaryEntry[];
}

export interface RequestDependencies {
  readonly produce: ProduceHandler;
  readonly fetch: FetchHandler;
  readonly listOffsets: ListOffsetsHandler;
  readonly producerIds: ProducerIds;
  readonly admin: AdminDependencies;
  readonly describe: DescribeConfigsDependencies;
  readonly groups: GroupDependencies;
  readonly logs: DeleteRecordsDependencies & DescribeLogDirsDependencies;
}

const requestOverheadBytes = 512;
const partitionOverheadBytes = 256;
const smallCost = 4_096;
/** Metadata of a large cluster, changes that wait for the controller. */
const largeCost = 65_536;

export function requestTable(deps: RequestDependencies): RequestTable {
  const { admin } = deps;
  return {
    produce: deps.produce,
    fetch: deps.fetch,
    produceCost: (request) => {
      let bytes = requestOverheadBytes;
      for (const { records } of request.partitions) bytes += records.length + partitionOverheadBytes;
      return bytes;
    },
    unary: [
      entry(brokerMethods.metadata, (request, { listener }) => metadata(admin, request, listener), largeCost),
      entry(brokerMethods.listOffsets, deps.listOffsets.handle, smallCost),
      entry(brokerMethods.initProducerId, (request) => initProducerId(deps.producerIds, request), smallCost),
      entry(brokerMethods.createTopics, (request) => createTopics(admin, request), largeCost),
      entry(brokerMethods.deleteTopics, (request) => deleteTopics(admin, request), largeCost),
      entry(brokerMethods.createPartitions, (request) => createPartitions(admin, request), largeCost),
      entry(brokerMethods.describeConfigs, (request) => describeConfigs(deps.describe, request), largeCost),
      entry(brokerMethods.alterConfigs, (request) => alterConfigs(admin, request), largeCost),
      entry(
        brokerMethods.alterPartitionReassignments,
        (request) => alterPartitionReassignments(admin, request),
        largeCost,
      ),
      entry(
        brokerMethods.listPartitionReassignments,
        (request) => listPartitionReassignments(admin, request),
        largeCost,
      ),
      entry(brokerMethods.deleteRecords, (request) => deleteRecords(deps.logs, request), largeCost),
      entry(brokerMethods.describeLogDirs, (request) => describeLogDirs(deps.logs, request), largeCost),
      entry(brokerMethods.describeProducers, (request) => describeProducers(deps.logs.replicas, request), largeCost),
      entry(brokerMethods.electLeaders, (request) => electLeaders(admin, request), largeCost),
      ...groupTable(deps.groups),
    ],
  };
}

/** What brokers forward to the controller; any broker may be it, or be asked by one that has not heard of the new one. */
export function controllerTable(controller: Controller): readonly UnaryEntry[] {
  return [
    entry(controllerMethods.createTopics, (request) => createTopicsAtController(controller, request), largeCost),
    entry(controllerMethods.deleteTopics, (request) => deleteTopicsAtController(controller, request), largeCost),
    entry(
      controllerMethods.createPartitions,
      (request) => createPartitionsAtController(controller, request),
      largeCost,
    ),
    entry(controllerMethods.alterConfigs, (request) => alterConfigsAtController(controller, request), largeCost),
    entry(
      controllerMethods.alterPartitionReassignments,
      (request) => alterPartitionReassignmentsAtController(controller, request),
      largeCost,
    ),
    entry(controllerMethods.electLeaders, (request) => electLeadersAtController(controller, request), largeCost),
    entry(
      controllerMethods.controlledShutdown,
      (request) => controlledShutdownAtController(controller, request),
      smallCost,
    ),
  ];
}
