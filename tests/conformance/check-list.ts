import type { ConsumedRecord, Result } from './foreign-client.ts';

export type Outcome =
  | { readonly kind: 'passed'; readonly detail?: string }
  | { readonly kind: 'failed'; readonly detail: string }
  /** Not this client's business. */
  | { readonly kind: 'unsupported'; readonly detail: string };

export interface Check {
  readonly name: string;
  readonly outcome: Outcome;
}

/** What was found about one foreign program, check by check. */
export class CheckList {
  readonly checks: Check[] = [];

  verdict(name: string, isGood: boolean, detail: string): void {
    this.checks.push({ name, outcome: isGood ? { kind: 'passed' } : { kind: 'failed', detail } });
  }

  record(name: string, result: Result | undefined, isGood: (value: unknown) => boolean = () => true): void {
    if (result === undefined) this.verdict(name, false, 'no result');
    else if ('unsupported' in result) {
      this.checks.push({ name, outcome: { kind: 'unsupported', detail: result.unsupported } });
    } else if ('error' in result) this.verdict(name, false, result.error);
    else this.verdict(name, isGood(result.value), `it found ${JSON.stringify(result.value)}`);
  }

  /** Records as `key=value`, in any order, each with the header h=x. */
  sameRecords(name: string, found: readonly ConsumedRecord[], written: readonly string[]): void {
    const seen = found.map(({ key, value }) => `${key}=${value}`).sort();
    const same = JSON.stringify(seen) === JSON.stringify([...written].sort());
    const headed = found.every(({ headers }) => headers.h === 'x');
    this.verdict(
      name,
      same && headed,
      `${found.length} of ${written.length} records${headed ? '' : ', other headers'}`,
    );
  }
}
