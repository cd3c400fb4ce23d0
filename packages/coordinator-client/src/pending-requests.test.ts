import { describe, expect, test } from 'vitest';
import { type OperationBody, PendingRequests, pendingBytesMax, pendingRequestsMax } from './pending-requests.ts';

const body: OperationBody = { $case: 'exists', value: { path: '/' } };

describe('requests over a broken link', () => {
  test('a write that was sent fails with an unknown outcome, everything else goes out again in order', async () => {
    const pending = new PendingRequests();
    const sent: number[] = [];
    const write = pending.add('write', body, 1, (xid) => sent.push(xid));
    void pending.add('read', body, 1, (xid) => sent.push(xid));
    void pending.add('write', body, 1, undefined);
    pending.onBroken(new Error('reset'));
    await expect(write).rejects.toMatchObject({ code: 'connection-loss' });
    pending.sendAll((xid) => sent.push(xid));
    expect(sent).toEqual([1, 2, 2, 3]);
  });

  test('the number and the bytes that wait are limited', async () => {
    const pending = new PendingRequests();
    await expect(pending.add('write', body, pendingBytesMax + 1, undefined)).rejects.toMatchObject({
      code: 'limit-exceeded',
    });
    for (let i = 0; i < pendingRequestsMax; i += 1) void pending.add('read', body, 1, undefined);
    await expect(pending.add('read', body, 1, undefined)).rejects.toMatchObject({ code: 'limit-exceeded' });
  });
});
