import type { BinaryReader, BinaryWriter } from '@bufbuild/protobuf/wire';
import type { Codec } from '../method.ts';
import { MessageReader } from './message-reader.ts';
import { MessageWriter } from './message-writer.ts';

/** What the generated files export for each message. */
export interface GeneratedMessage<Message> {
  encode(message: Message, writer?: BinaryWriter): BinaryWriter;
  decode(input: BinaryReader | Uint8Array, length?: number): Message;
}

const writer = new MessageWriter();
const reader = new MessageReader();

/** Large `bytes` fields are not copied: neither on encode (chunks) nor on decode (views of the input). */
export function codecOf<Message>(generated: GeneratedMessage<Message>): Codec<Message> {
  return {
    encode: (message) => writer.encode(generated.encode, message),
    decode: (bytes) => {
      reader.reset(bytes);
      const message = generated.decode(reader);
      // Generated code stops, without an error, at a tag that ends a group nobody began.
      if (reader.pos !== reader.len) throw new RangeError(`${reader.len - reader.pos} bytes after the message`);
      return message;
    },
  };
}
