import { describe, expect, test } from 'vitest';
import { Progress } from './progress.ts';

describe('what the leader knows of a follower', () => {
  test('a probe is sent once until an answer comes; an acknowledgement opens the pipeline', () => {
    const progress = new Progress(5, 2);
    progress.sent(7);
    expect(progress.paused).toBe(true);
    expect(progress.acknowledged(7)).toBe(true);
    progress.becomeReplicate();
    expect([progress.match, progress.next, progress.paused]).toEqual([7, 8, false]);
  });

  test('appends under way are bounded, and one acknowledgement releases all before it', () => {
    const progress = new Progress(1, 2);
    progress.becomeReplicate();
    progress.sent(3);
    progress.sent(6);
    expect(progress.paused).toBe(true);
    progress.releaseInflight(6);
    expect([progress.paused, progress.inflight, progress.next]).toEqual([false, 0, 7]);
  });

  test('a refusal that was overtaken changes nothing', () => {
    const probing = new Progress(10, 2);
    probing.rejected(4, 2);
    expect(probing.next).toBe(10);
    const replicating = new Progress(1, 2);
    replicating.acknowledged(5);
    replicating.becomeReplicate();
    replicating.rejected(3, 1);
    expect(replicating.state).toBe('replicate');
  });

  test('backtracking never goes before what is known to agree', () => {
    const progress = new Progress(10, 2);
    progress.acknowledged(6);
    progress.rejected(progress.next - 1, 2);
    expect(progress.next).toBe(7);
  });

  test('a snapshot that is never answered is given up after some election timeouts', () => {
    const progress = new Progress(1, 2);
    progress.becomeSnapshot(100);
    for (let check = 0; check < 9; check += 1) progress.tireOfSnapshot();
    expect(progress.paused).toBe(true);
    progress.tireOfSnapshot();
    expect([progress.state, progress.next]).toEqual(['probe', 1]);
  });
});
