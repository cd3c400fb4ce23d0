export * from './transport-contract.ts';
export * from './transport-world.ts';
