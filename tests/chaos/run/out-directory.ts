import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UsageError } from '../../command-line.ts';
import { isAlive, processIdentity } from '../cluster/process-identity.ts';

const lockName = 'harness';

/** Where the report and the directories of runs that failed are: of one harness at a time, and what earlier ones kept stays. */
export class OutDirectory {
  readonly path: string;
  #lastNumber: number;

  /** Throws a UsageError when nothing can be written there, or another harness does. */
  constructor(path: string) {
    this.path = path;
    try {
      mkdirSync(path, { recursive: true });
      this.#take();
      this.#lastNumber = Math.max(0, ...readdirSync(path).map((name) => Number(/^(\d+)-/.exec(name)?.[1] ?? 0)));
    } catch (error) {
      if (error instanceof UsageError) throw error;
      throw new UsageError(`--out ${path} cannot be written to: ${(error as Error).message}`);
    }
  }

  /** In the temporary directory, where no other harness is. */
  static usual(): OutDirectory {
    const path = join(tmpdir(), 'naru-chaos');
    return new OutDirectory(ownerOf(path) === undefined ? path : `${path}-${process.pid}`);
  }

  /** A place for the next run. */
  next(cell: string): string {
    return join(this.path, `${String(++this.#lastNumber).padStart(3, '0')}-${cell.replace('/', '-')}`);
  }

  get reportFile(): string {
    return join(this.path, 'report.html');
  }

  close(): void {
    rmSync(join(this.path, lockName), { force: true });
  }

  #take(): void {
    const owner = ownerOf(this.path);
    if (owner !== undefined) {
      throw new UsageError(`process ${owner} writes to ${this.path}; give another directory with --out`);
    }
    writeFileSync(join(this.path, lockName), processIdentity(process.pid) ?? '');
  }
}

/** Process id of the harness that writes there; undefined: none does. */
function ownerOf(path: string): string | undefined {
  const lock = join(path, lockName);
  const owner = existsSync(lock) ? readFileSync(lock, 'utf8') : '';
  return isAlive(owner) ? owner.split('.')[0] : undefined;
}
