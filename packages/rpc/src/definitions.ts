import { codecOf, type GeneratedMessage } from './codec/codec.ts';
import { BrokerDefinition } from './generated/naru/broker/v1/broker.ts';
import { GroupsDefinition } from './generated/naru/broker/v1/groups.ts';
import { ControllerDefinition, ReplicationDefinition } from './generated/naru/broker/v1/replication.ts';
import { CoordinatorDefinition } from './generated/naru/coordinator/v1/coordinator.ts';
import { QuorumDefinition } from './generated/naru/coordinator/v1/quorum.ts';
import type { Method, StreamMethod, UnaryMethod } from './method.ts';

interface MethodDefinition {
  readonly name: string;
  readonly requestType: unknown;
  readonly requestStream: boolean;
  readonly responseType: unknown;
  readonly responseStream: boolean;
}

interface ServiceDefinition {
  readonly fullName: string;
  readonly methods: { readonly [name: string]: MethodDefinition };
}

type MessageOf<Generated> = Generated extends { decode(...input: never[]): infer Message } ? Message : never;

type MethodOf<Definition extends MethodDefinition> = Definition['requestStream'] extends true
  ? StreamMethod<MessageOf<Definition['requestType']>, MessageOf<Definition['responseType']>>
  : UnaryMethod<MessageOf<Definition['requestType']>, MessageOf<Definition['responseType']>>;

/** A generated service's procedures by name: `produce`, `metadata`, … */
export type MethodsOf<Definition extends ServiceDefinition> = {
  readonly [Name in keyof Definition['methods']]: MethodOf<Definition['methods'][Name]>;
};

/** Typed methods with their codecs from a generated service. Both directions stream, or neither does. */
export function methodsOf<Definition extends ServiceDefinition>(definition: Definition): MethodsOf<Definition> {
  const methods: { [name: string]: Method<unknown, unknown> } = {};
  for (const [name, method] of Object.entries(definition.methods)) {
    if (method.requestStream !== method.responseStream) {
      throw new Error(`${definition.fullName}/${method.name}: one-way streams are not supported`);
    }
    methods[name] = {
      kind: method.requestStream ? 'stream' : 'unary',
      path: `/${definition.fullName}/${method.name}`,
      request: codecOf(method.requestType as GeneratedMessage<unknown>),
      response: codecOf(method.responseType as GeneratedMessage<unknown>),
    };
  }
  return methods as unknown as MethodsOf<Definition>;
}

/** What clients ask of a broker. */
export const brokerMethods = /* @__PURE__ */ methodsOf(BrokerDefinition);
/** What the members of consumer groups, and tools, ask of a broker. */
export const groupMethods = /* @__PURE__ */ methodsOf(GroupsDefinition);
/** What a follower asks of a leader. */
export const replicationMethods = /* @__PURE__ */ methodsOf(ReplicationDefinition);
/** What brokers ask of the controller. */
export const controllerMethods = /* @__PURE__ */ methodsOf(ControllerDefinition);
/** What anyone asks of a coordinator. */
export const coordinatorMethods = /* @__PURE__ */ methodsOf(CoordinatorDefinition);
/** What coordinators say to each other. */
export const quorumMethods = /* @__PURE__ */ methodsOf(QuorumDefinition);
