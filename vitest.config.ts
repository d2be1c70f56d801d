import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

/** The checkout may belong to somebody else (root runs the tests as user postgres), so nothing is cached inside it. */
export default defineConfig({
  cacheDir: join(tmpdir(), 'vite'),
  test: {
    include: ['test/**/*.test.ts'],
    fsModuleCache: false,
    pool: 'forks',
    maxWorkers: 3, // of two cores: most tests wait for servers half of the time
    testTimeout: 180_000,
    hookTimeout: 300_000,
    expect: { poll: { timeout: 20_000 } },
    teardownTimeout: 30_000,
    globalSetup: ['test/support/global.ts'],
    setupFiles: ['test/support/leaks.ts'],
    passWithNoTests: false,
  },
});
