import { Unavailable } from '../../conformance/foreign-client.ts';
import { mavenClassPath, npmPackages } from '../../conformance/installed.ts';
import type { ClientLibrary } from '../workload/workloads.ts';

const kafkaClients = ['org.apache.kafka:kafka-clients:4.3.0', 'org.slf4j:slf4j-nop:1.7.36'];

/** Where a library is that the workload's clients need (empty: in this project), or why it cannot be had. */
export type Library = { readonly path: string } | { readonly missing: string };

/** Installs it, outside the project, when it is not there. */
export async function prepareLibrary(library: ClientLibrary): Promise<Library> {
  try {
    switch (library) {
      case 'naru':
        return { path: '' };
      case 'kafkajs':
        return { path: await npmPackages('kafkajs', ['kafkajs@2', 'kafkajs-snappy@1']) };
      case 'java':
        return { path: await mavenClassPath('chaos-clients', kafkaClients) };
    }
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    return { missing: error.message };
  }
}
