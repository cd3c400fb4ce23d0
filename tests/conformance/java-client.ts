import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ForeignClient, type Result, Unavailable } from './foreign-client.ts';
import { mavenClassPath } from './installed.ts';
import { lastLine, type Output, type RunOptions, run } from './processes.ts';

const drivers = join(dirname(fileURLToPath(import.meta.url)), 'drivers');

/** One release of Apache Kafka, from Maven Central: its clients, tools, Streams, and what reads its files. */
export class KafkaRelease {
  readonly version: string;
  #classPath: Promise<string> | undefined;

  constructor(version: string) {
    this.version = version;
  }

  /** Main classes that have moved since 3.9. */
  get classNames(): { readonly consoleProducer: string; readonly brokerApiVersions: string; readonly dumpLog: string } {
    const isOld = this.version.startsWith('3.');
    return {
      consoleProducer: isOld ? 'kafka.tools.ConsoleProducer' : 'org.apache.kafka.tools.ConsoleProducer',
      brokerApiVersions: isOld
        ? 'kafka.admin.BrokerApiVersionsCommand'
        : 'org.apache.kafka.tools.BrokerApiVersionsCommand',
      dumpLog: isOld ? 'kafka.tools.DumpLogSegments' : 'org.apache.kafka.tools.DumpLogSegments',
    };
  }

  /** Runs a main class. Throws `Unavailable` where Java or the release cannot be had. */
  async java(
    mainClass: string,
    argv: readonly string[],
    options: RunOptions & { readonly classes?: string } = {},
  ): Promise<Output> {
    const { classes } = options;
    const jars = await this.classPath();
    const classPath = classes === undefined ? jars : `${classes}:${jars}`;
    // Short lives: the second compiler would not earn its keep.
    const java = ['-Xmx256m', '-XX:TieredStopAtLevel=1', '-cp', classPath, mainClass];
    const output = await run('java', [...java, ...argv], { timeoutMs: 90_000, ...options });
    // Which of two silent loggers was taken is no news.
    return { ...output, stderr: output.stderr.replaceAll(/^SLF4J:.*\n/gm, '') };
  }

  /** Compiles a driver against this release; returns the directory of its classes. */
  async compile(source: string): Promise<string> {
    const classes = await mkdtemp(join(tmpdir(), 'naru-conformance-classes-'));
    const argv = ['-nowarn', '-d', classes, '-cp', await this.classPath(), join(drivers, source)];
    const { status, stderr } = await run('javac', argv, { timeoutMs: 90_000 });
    if (status === null) throw new Unavailable(`javac is not installed: ${lastLine(stderr)}`);
    if (status !== 0) throw new Error(`${source} does not compile with ${this.version}: ${stderr.slice(0, 500)}`);
    return classes;
  }

  classPath(): Promise<string> {
    this.#classPath ??= this.#install();
    return this.#classPath;
  }

  async #install(): Promise<string> {
    if ((await run('java', ['-version'])).status !== 0) throw new Unavailable('java is not installed');
    const own = ['kafka-tools', 'kafka_2.13', 'kafka-streams'].map(
      (part) => `org.apache.kafka:${part}:${this.version}`,
    );
    return mavenClassPath(`kafka-${this.version}`, [...own, 'org.slf4j:slf4j-nop:1.7.36']);
  }
}

/** Apache Kafka's own client library. */
export function javaClient(release: KafkaRelease): ForeignClient {
  return {
    name: `java-${release.version}`,
    prepare: async () => {
      const classes = await release.compile('ApacheKafka.java');
      return {
        run: async (servers, commands) => {
          const input = JSON.stringify({ servers, commands });
          const { status, stdout, stderr } = await release.java('ApacheKafka', [], {
            input,
            classes,
            timeoutMs: 120_000,
          });
          try {
            return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Result[];
          } catch {
            throw new Error(`ApacheKafka.java ended with ${status}: ${stderr.trim().slice(-500)}`);
          }
        },
      };
    },
  };
}
