import type { Http2Session, SecureServerOptions, ServerOptions, Settings } from 'node:http2';
import type { RpcLimits } from '../rpc.ts';

/** What a peer may send on one stream before we read it: several large messages in flight, little memory on a paused one. */
const streamWindowBytes = 4 * 1_048_576;
/** What a peer may have under way on the whole connection. */
const sessionWindowBytes = 64 * 1_048_576;
const frameBytesMax = 1_048_576;
/** Paths, deadlines and status messages are short; metadata is ignored. */
const headerListBytesMax = 16_384;
const headerPairsMax = 64;
/** Megabytes of a session's buffers, after which new streams are refused. */
const sessionMegabytesMax = 256;
/** Streams that a client may open and reset at once, and per second from then on (CVE-2023-44487). */
const streamResetBurst = 5_000;
const streamResetRate = 1_000;
const invalidFramesMax = 100;
const rejectedStreamsMax = 1_000;
const settingsEntriesMax = 32;

function settings(limits: RpcLimits): Settings {
  return {
    enablePush: false,
    initialWindowSize: streamWindowBytes,
    maxFrameSize: frameBytesMax,
    maxConcurrentStreams: limits.concurrentStreamsMax,
    maxHeaderListSize: headerListBytesMax,
  };
}

/** The same for both ends: a server must not trust its clients, nor a client its server. */
export function sessionOptions(limits: RpcLimits): ServerOptions & SecureServerOptions {
  return {
    settings: settings(limits),
    maxSessionMemory: sessionMegabytesMax,
    maxHeaderListPairs: headerPairsMax,
    maxSessionInvalidFrames: invalidFramesMax,
    maxSessionRejectedStreams: rejectedStreamsMax,
    maxSettings: settingsEntriesMax,
    streamResetBurst,
    streamResetRate,
  };
}

/** Opens the connection's window; to be called once the session is connected. */
export function openWindow(session: Http2Session): void {
  session.setLocalWindowSize(sessionWindowBytes);
}
