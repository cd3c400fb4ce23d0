import { execFile } from 'node:child_process';
import { expect, test } from 'vitest';

test('when the node is at its end the process is, whatever is still open: one that cannot go on must not go on serving', async () => {
  const script = `
    import { nodeCommand } from ${JSON.stringify(new URL('node.ts', import.meta.url).href)};
    const main = async () => {
      setInterval(() => {}, 1_000);
      return 3;
    };
    await nodeCommand('broker', async () => ({ main })).run([]);
  `;
  const status = await new Promise((resolve) => {
    // The limit only ends a child that would be left behind.
    const options = { timeout: 30_000 };
    execFile(process.execPath, ['--input-type=module', '-e', script], options, (error) => resolve(error?.code));
  });
  expect(status).toBe(3);
});
