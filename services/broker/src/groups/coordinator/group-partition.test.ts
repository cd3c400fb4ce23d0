import { expect, test } from 'vitest';
import { groupPartition } from './group-partition.ts';

// From java.lang.String.hashCode: "" 0, "a" 97, "group" 98629247, "Aa" and "BB" 2112, "polygenelubricants" the smallest integer.
test('groups are where Kafka has them: String.hashCode, made positive by Utils.abs', () => {
  expect(groupPartition('a', 50)).toBe(97 % 50);
  expect(groupPartition('group', 50)).toBe(98_629_247 % 50);
  expect(groupPartition('Aa', 50)).toBe(groupPartition('BB', 50));
  expect(groupPartition('polygenelubricants', 50)).toBe(0);
  expect(groupPartition('console-consumer-12345', 50)).toBe(javaHash('console-consumer-12345') % 50);
  expect(groupPartition('grüße-😀', 50)).toBe(javaHash('grüße-😀') % 50);
});

/** The definition: s[0]·31^(n-1) + … + s[n-1] over UTF-16 units, modulo 2^32, as a signed number; then its amount. */
function javaHash(text: string): number {
  let sum = 0n;
  for (let i = 0; i < text.length; i++) sum = sum * 31n + BigInt(text.charCodeAt(i));
  const signed = Number(BigInt.asIntN(32, sum));
  return Math.abs(signed);
}
