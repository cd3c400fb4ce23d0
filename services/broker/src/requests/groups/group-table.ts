import { groupMethods } from '@naru/rpc';
import { entry, type UnaryEntry } from '../unary-entry.ts';
import { consumerGroupDescribe } from './consumer-group-describe.ts';
import { consumerGroupHeartbeat } from './consumer-group-heartbeat.ts';
import { deleteGroups } from './delete-groups.ts';
import { describeGroups } from './describe-groups.ts';
import { findCoordinator } from './find-coordinator.ts';
import type { GroupDependencies } from './group-dependencies.ts';
import { heartbeat } from './heartbeat.ts';
import { joinGroup } from './join-group.ts';
import { leaveGroup } from './leave-group.ts';
import { listGroups } from './list-groups.ts';
import { offsetCommit } from './offset-commit.ts';
import { offsetDelete } from './offset-delete.ts';
import { offsetFetch } from './offset-fetch.ts';
import { syncGroup } from './sync-group.ts';

const smallCost = 4_096;
/** Assignments, offsets and descriptions of many partitions; a join holds its metadata for as long as the group does. */
const largeCost = 65_536;

/** The group APIs, as part of the request table. */
export function groupTable(deps: GroupDependencies): readonly UnaryEntry[] {
  return [
    entry(groupMethods.findCoordinator, (request, { listener }) => findCoordinator(deps, request, listener), smallCost),
    entry(groupMethods.joinGroup, (request, caller) => joinGroup(deps, request, `/${caller.host}`), smallCost),
    entry(groupMethods.syncGroup, (request) => syncGroup(deps, request), smallCost),
    entry(groupMethods.heartbeat, (request) => heartbeat(deps, request), smallCost),
    entry(groupMethods.leaveGroup, (request) => leaveGroup(deps, request), smallCost),
    entry(groupMethods.offsetCommit, (request) => offsetCommit(deps, request), largeCost),
    entry(groupMethods.offsetFetch, (request) => offsetFetch(deps, request), largeCost),
    entry(groupMethods.listGroups, (request) => listGroups(deps, request), largeCost),
    entry(groupMethods.describeGroups, (request) => describeGroups(deps, request), largeCost),
    entry(groupMethods.deleteGroups, (request) => deleteGroups(deps, request), largeCost),
    entry(groupMethods.offsetDelete, (request) => offsetDelete(deps, request), smallCost),
    entry(
      groupMethods.consumerGroupHeartbeat,
      (request, caller) => consumerGroupHeartbeat(deps, request, `/${caller.host}`),
      smallCost,
    ),
    entry(groupMethods.consumerGroupDescribe, (request) => consumerGroupDescribe(deps, request), largeCost),
  ];
}
