import { fork } from 'node:child_process';
import { connect, createServer } from 'node:net';
import { fileURLToPath } from 'node:url';

const chunkBytes = 131_072;

/** Bytes per second through a loopback connection between two processes, 128 KiB a write. */
export async function measureTcp(totalBytes = 2_000_000_000): Promise<number> {
  const child = fork(fileURLToPath(import.meta.url), ['--sink'], { stdio: 'inherit' });
  const port = await new Promise<number>((resolve) => child.once('message', (message) => resolve(message as number)));
  const socket = connect(port, '127.0.0.1');
  const done = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  const chunk = Buffer.alloc(chunkBytes, 1);
  const began = performance.now();
  let sent = 0;
  const write = (): void => {
    while (sent < totalBytes) {
      sent += chunkBytes;
      if (!socket.write(chunk)) return void socket.once('drain', write);
    }
    socket.end();
  };
  socket.once('connect', write);
  socket.resume();
  await done;
  child.kill();
  return (sent / (performance.now() - began)) * 1000;
}

if (process.argv[2] === '--sink') {
  const server = createServer((socket) => socket.on('data', () => {}).on('end', () => socket.end()));
  server.listen(0, '127.0.0.1', () => process.send?.((server.address() as { port: number }).port));
  process.once('disconnect', () => process.exit());
}
