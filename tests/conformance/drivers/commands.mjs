// What every driver is: {servers, commands} on standard input, one result per command on standard output.

/** `open` gives a function per command; a result of {unsupported: why} says that the client cannot do it. */
export async function runCommands(open) {
  let input = '';
  for await (const chunk of process.stdin) input += chunk;
  const { servers, commands } = JSON.parse(input);
  const client = await open({ servers });
  const results = [];
  for (const command of commands) {
    try {
      const value = await client[command.do](command);
      results.push(value?.unsupported === undefined ? { value: value ?? null } : value);
    } catch (error) {
      results.push({ error: [error.message, ...(error.errors ?? []).map((e) => e.message)].join(': ') });
    }
  }
  await client.close();
  process.stdout.write(JSON.stringify(results));
  process.exit(0);
}

export const patienceMs = 25_000;

export async function until(holds) {
  for (const end = Date.now() + patienceMs; !holds(); ) {
    if (Date.now() > end) throw new Error('the assignment did not come');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
