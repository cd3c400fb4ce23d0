import { defineConfig } from 'vitest/config';

const report = process.env.NARU_TEST_REPORT;

export default defineConfig({
  test: {
    include: ['{packages,services,scripts,tests,bench}/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: 'forks',
    setupFiles: ['scripts/test-seed.ts'],
    reporters: report === undefined ? ['default'] : ['default', 'json'],
    ...(report === undefined ? {} : { outputFile: { json: report } }),
  },
});
