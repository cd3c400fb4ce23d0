import type { WriteOperation } from '@naru/coordinator-client';
import type { BrokerImage } from '../cluster/metadata-image.ts';
import { encodeBroker } from '../cluster/znode-codecs.ts';
import { paths } from '../cluster/znode-paths.ts';
import { type ControllerGuard, controllerCheck } from './planner.ts';

/** Marks exactly this incarnation as stopping. Its next one is not marked: the mark goes with the registration. */
export function planStopping(broker: BrokerImage, guard: ControllerGuard): readonly WriteOperation[] {
  const path = paths.broker(broker.id);
  return [
    controllerCheck(guard),
    { kind: 'check', path, czxid: broker.epoch },
    { kind: 'set-data', path, data: encodeBroker({ ...broker, stopping: true }), version: broker.version },
  ];
}
