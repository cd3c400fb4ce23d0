/** One JSON object a line, as Kafka's verifiable clients print them: harnesses read them while the tool runs. */
export function printEvent(name: string, fields: Readonly<Record<string, unknown>> = {}): void {
  process.stdout.write(`${JSON.stringify({ timestamp: Date.now(), name, ...fields })}\n`);
}
