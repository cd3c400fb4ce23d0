import {
  Command as CommandMessage,
  type WriteStep as WriteStepMessage,
} from '@naru/rpc/generated/naru/coordinator/v1/command';
import type { Command, WriteStep } from './command.ts';

/** An entry that this version cannot read. Skipping it would let nodes diverge, so the node must stop. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
}

export function encodeCommand(command: Command): Uint8Array {
  return CommandMessage.encode({ timeMs: command.timeMs, command: messageOf(command) }).finish();
}

/**
 * Throws `CommandError` for anything that `encodeCommand` did not make. Data is copied: the tree keeps it for long, and
 * `bytes` may be a view into a much larger buffer of the network.
 */
export function decodeCommand(bytes: Uint8Array): Command {
  const message = decodeMessage(bytes);
  const { timeMs, command } = message;
  switch (command?.$case) {
    case 'createSession':
      return {
        kind: 'create-session',
        timeMs,
        password: new Uint8Array(command.value.password),
        timeoutMs: command.value.timeoutMs,
      };
    case 'attachSession':
      return {
        kind: 'attach-session',
        timeMs,
        session: command.value.sessionId,
        password: new Uint8Array(command.value.password),
      };
    case 'closeSession':
      return { kind: 'close-session', timeMs, session: command.value.sessionId };
    case 'expireSession': {
      const { sessionId, touches, term } = command.value;
      return { kind: 'expire-session', timeMs, session: sessionId, touches, term };
    }
    case 'write':
      return { kind: 'write', timeMs, session: command.value.sessionId, steps: command.value.steps.map(stepOf) };
    case undefined:
      throw new CommandError('a log entry holds a command of an unknown kind');
  }
}

function decodeMessage(bytes: Uint8Array): CommandMessage {
  try {
    return CommandMessage.decode(bytes);
  } catch (error) {
    throw new CommandError('a log entry holds no command', { cause: error });
  }
}

function messageOf(command: Command): NonNullable<CommandMessage['command']> {
  switch (command.kind) {
    case 'create-session':
      return { $case: 'createSession', value: { password: command.password, timeoutMs: command.timeoutMs } };
    case 'attach-session':
      return { $case: 'attachSession', value: { sessionId: command.session, password: command.password } };
    case 'close-session':
      return { $case: 'closeSession', value: { sessionId: command.session } };
    case 'expire-session':
      return {
        $case: 'expireSession',
        value: { sessionId: command.session, touches: command.touches, term: command.term },
      };
    case 'write':
      return { $case: 'write', value: { sessionId: command.session, steps: command.steps.map(stepMessageOf) } };
  }
}

function stepMessageOf(step: WriteStep): WriteStepMessage {
  switch (step.kind) {
    case 'create':
      return { step: { $case: 'create', value: step } };
    case 'delete':
      return { step: { $case: 'delete', value: step } };
    case 'set-data':
      return { step: { $case: 'setData', value: step } };
    case 'check':
      return { step: { $case: 'check', value: step } };
  }
}

function stepOf(message: WriteStepMessage): WriteStep {
  const { step } = message;
  switch (step?.$case) {
    case 'create': {
      const { path, data, ephemeral, sequential } = step.value;
      return { kind: 'create', path, data: new Uint8Array(data), ephemeral, sequential };
    }
    case 'delete':
      return { kind: 'delete', path: step.value.path, version: step.value.version };
    case 'setData':
      return {
        kind: 'set-data',
        path: step.value.path,
        data: new Uint8Array(step.value.data),
        version: step.value.version,
      };
    case 'check':
      return { kind: 'check', path: step.value.path, version: step.value.version, czxid: step.value.czxid };
    case undefined:
      throw new CommandError('a log entry holds a step of an unknown kind');
  }
}
