import { describe, expect, test } from 'vitest';
import { checkFile, tidy } from './tidy.ts';

test('the project keeps its layers', () => {
  expect(tidy()).toEqual([]);
});

describe('tidy finds', () => {
  test.each([
    [
      'services/broker/src/log/a.ts',
      "import { x } from '../replication/partition.ts';",
      'may not import ../replication/partition.ts',
    ],
    [
      'services/broker/src/log/a.ts',
      "import { x } from '@naru/coordinator-client';",
      'may not import @naru/coordinator-client',
    ],
    [
      'services/broker/src/replication/core/a.ts',
      "import { x } from '../partition.ts';",
      'may not import ../partition.ts',
    ],
    [
      'services/broker/src/replication/a.ts',
      "import { open } from 'node:fs/promises';",
      'may not import node:fs/promises',
    ],
    ['services/client/src/a.ts', "import { x } from '../../broker/src/broker.ts';", 'may not import'],
    ['services/client/src/a.ts', "import lodash from 'lodash';", 'it is no dependency'],
    ['packages/raft/src/a.ts', 'const t = Date.now();', 'Date.now is the outside world'],
    ['packages/raft/src/a.ts', 'setTimeout(() => {}, 1);', 'setTimeout is the outside world'],
    ['packages/nowhere/src/a.ts', '', 'no layer'],
  ])('%s: %s', (file, text, problem) => {
    expect(checkFile(file, text).join('\n')).toContain(problem);
  });

  test('and leaves alone what is allowed', () => {
    expect(
      checkFile(
        'services/broker/src/replication/a.ts',
        "import { x } from '../log/partition-log.ts';\n// Date.now is not used\n",
      ),
    ).toEqual([]);
  });
});
