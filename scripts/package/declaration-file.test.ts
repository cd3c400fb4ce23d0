import { expect, test } from 'vitest';
import { DeclarationFile, type Origin } from './declaration-file.ts';

const text = `/** What the file is about. */
import type { Runtime } from '@naru/runtime';
import * as errors from './errors.ts';
import { type Far as Near, Unused } from './far.ts';
export * from './star.ts';
export type { Hidden } from './hidden.ts';
/** A door. */
export declare class Door {
    #private;
    readonly near: Near;
    /** @internal made by the house. */
    constructor(runtime: Runtime, other: (x: number) => void);
    open(): Handle;
}
declare const secret: unique symbol;
/** With what it is opened. */
interface Handle {
    readonly [secret]: import("./lock.ts").Lock;
}
export declare const left: typeof errors;
export {};
`;

const here = ({ specifier, name }: Origin): Origin => ({ specifier: specifier.replace('.ts', '.js'), name });

test('keeps what is asked for and what that mentions, with its comments; nothing else is imported', () => {
  const file = new DeclarationFile(text);
  expect(file.keep('Door')).toEqual([
    { specifier: './far.ts', name: 'Far', isTypeOnly: true },
    { specifier: './lock.ts', name: 'Lock' },
  ]);
  expect(file.write(here)).toBe(`import type { Far as Near } from './far.js';
/** A door. */
export declare class Door {
    #private;
    readonly near: Near;
    protected constructor();
    open(): Handle;
}
declare const secret: unique symbol;
/** With what it is opened. */
interface Handle {
    readonly [secret]: import('./lock.js').Lock;
}
`);
});

test('a module that is needed whole passes on what it has from others; a class exported as a type stays one', () => {
  const file = new DeclarationFile(text);
  file.isWhole = true;
  expect([file.exportedNames, file.stars, [...file.reexports]]).toEqual([
    ['Door', 'left'],
    ['./star.ts'],
    [['Hidden', { specifier: './hidden.ts', name: 'Hidden', isTypeOnly: true }]],
  ]);
  expect(file.keep('left')).toEqual([{ specifier: './errors.ts', name: '*' }]);
  expect(file.write(here)).toBe(`import type * as errors from './errors.js';
export type { Hidden } from './hidden.js';
export * from './star.js';
export declare const left: typeof errors;
`);
});

test('what the compiler is not known to write is refused instead of left out', () => {
  expect(() => new DeclarationFile('export default class {}\n')).toThrow('no declaration is written like this');
});
