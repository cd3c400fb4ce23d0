import { setFlagsFromString } from 'node:v8';

/**
 * For a process that moves a lot of bytes through buffers. By default V8 collects the whole heap each time that some 16 MB of buffers have been allocated, however
 * much memory there is: a broker at 100 MB/s spent a quarter of its time on that. With this flag buffers count towards the limit that grows
 * with what is alive, as everything else does; a third of the collections remain, and the process's memory stays what it was.
 *
 * To be called by a `main`, before it allocates; a library must not change its host's process.
 */
export function countBuffersInHeapLimit(): void {
  setFlagsFromString('--external-memory-accounted-in-global-limit');
}
