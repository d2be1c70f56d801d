import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** A new folder, removed when the current test ends. In a beforeAll use `keptTempDir` and remove it yourself. */
export function tempDir(prefix = 'd'): string {
  const dir = keptTempDir(prefix);
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** A new folder that the caller removes; the leak check finds it otherwise. */
export function keptTempDir(prefix = 'd'): string {
  return mkdtempSync(join(tmpdir(), `${prefix}-`));
}
