import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    projects: [
      {
        test: { name: 'unit', include: ['src/**/*.test.ts'], testTimeout: 10_000 },
      },
      {
        test: {
          name: 'system',
          include: ['test/system/**/*.test.ts'],
          globalSetup: ['test/support/system-setup.ts'],
          runner: 'test/support/skipping-runner.ts',
          testTimeout: 120_000,
          hookTimeout: 600_000,
          maxWorkers: 2,
        },
      },
      {
        test: {
          name: 'boot',
          include: ['test/boot/**/*.test.ts'],
          globalSetup: ['test/support/boot-setup.ts'],
          runner: 'test/support/skipping-runner.ts',
          testTimeout: 300_000,
          hookTimeout: 600_000,
          // Two machines at a time: each emulated CPU wants a core of its own.
          maxWorkers: 2,
        },
      },
    ],
  },
});
