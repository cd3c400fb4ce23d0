import { describe, expect, test } from 'vitest';
import { epochMax, isBehind, numberedFrom, PartitionSequence, sequenceMax } from './partition-sequence.ts';

function started(): PartitionSequence {
  const sequence = new PartitionSequence();
  sequence.identify({ producerId: 7, epoch: 0 });
  return sequence;
}

describe('sequence numbers of a partition', () => {
  test('follow each other, one for each record, and go on with 0 after 2147483647', () => {
    const sequence = started();
    expect(sequence.take(3)).toEqual({ producerId: 7, epoch: 0, firstSequence: 0 });
    expect(sequence.take(sequenceMax - 4).firstSequence).toBe(3);
    expect(sequence.take(5).firstSequence).toBe(sequenceMax - 1);
    expect(sequence.take(1).firstSequence).toBe(3);
    expect(numberedFrom({ producerId: 7, epoch: 0, firstSequence: sequenceMax }, 2).firstSequence).toBe(1);
    expect([isBehind(1, sequenceMax), isBehind(sequenceMax, 1), isBehind(1, 1)]).toEqual([true, false, false]);
  });

  test('of a batch that is in no log are free again', () => {
    const sequence = started();
    sequence.take(3);
    const second = sequence.take(4);
    const third = sequence.take(1);
    sequence.rewind(second);
    sequence.rewind(third);
    expect(sequence.take(9)).toEqual({ ...second, firstSequence: 3 });
  });

  test('KIP-360: after a batch in doubt the next one begins a new epoch', () => {
    const sequence = started();
    const doubtful = sequence.take(3);
    sequence.leaveInDoubt(doubtful);
    expect([sequence.isInDoubt, sequence.continues(doubtful)]).toEqual([true, false]);
    expect(sequence.take(2)).toEqual({ producerId: 7, epoch: 1, firstSequence: 0 });
    expect(sequence.take(2)).toEqual({ producerId: 7, epoch: 1, firstSequence: 2 });
    sequence.leaveInDoubt(doubtful);
    expect(sequence.isInDoubt, 'what was before the epoch is settled').toBe(false);
  });

  test('a batch behind it that is acknowledged ends the doubt, one before it does not', () => {
    const sequence = started();
    const [before, doubtful, after] = [sequence.take(3), sequence.take(3), sequence.take(3)];
    sequence.leaveInDoubt(doubtful);
    sequence.confirm(before);
    expect(sequence.isInDoubt).toBe(true);
    sequence.confirm(after);
    expect(sequence.isInDoubt).toBe(false);
    expect(sequence.take(1)).toEqual({ producerId: 7, epoch: 0, firstSequence: 9 });
  });

  test('after the last epoch another producer id is needed', () => {
    const sequence = new PartitionSequence();
    expect(sequence.needsIdentity).toBe(true);
    sequence.identify({ producerId: 7, epoch: epochMax });
    expect(sequence.needsIdentity).toBe(false);
    sequence.restart();
    expect(sequence.needsIdentity).toBe(true);
    sequence.identify({ producerId: 8, epoch: 0 });
    expect(sequence.take(1)).toEqual({ producerId: 8, epoch: 0, firstSequence: 0 });
  });
});
