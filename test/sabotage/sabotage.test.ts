import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { tempDir } from '../support/temp.ts';
import { type Patch, readPatches } from './patches.ts';
import { type Copy, copyOf, sabotage } from './sabotage.ts';

const root = process.cwd();
let copy: Copy;
beforeAll(async () => {
  copy = await copyOf(root);
});
afterAll(() => copy.dispose());

/** A sabotage that adds one test file with this text. */
function adding(text: string, title = 'the marked test', says: string[] = []): Patch {
  const file = join(tempDir(), 'added.patch');
  const lines = text.trimEnd().split('\n');
  const head = `--- /dev/null\n+++ b/test/added.test.ts\n@@ -0,0 +1,${lines.length} @@\n`;
  writeFileSync(file, `${head}${lines.map((line) => `+${line}`).join('\n')}\n`);
  return { name: 'added', file, invariant: 'none', reddens: { file: 'test/added.test.ts', title }, says };
}

const body = (check: string) =>
  `import { expect, test } from 'vitest';\ntest('the marked test', () => { ${check} });\n`;

test.each([
  ['a named test that fails is what a sabotage is for', () => adding(body('expect(1).toBe(2);')), undefined],
  ['a test that stays green proves nothing', () => adding(body('expect(1).toBe(1);')), 'stays green'],
  ['a title that no test has', () => adding(body('expect(1).toBe(2);'), 'another title'), 'is called'],
  ['a file that cannot be loaded is no red test', () => adding("import './missing.ts';\n"), 'something else broke'],
  ['red for another reason', () => adding(body('expect(1).toBe(2);'), 'the marked test', ['why']), 'does not say'],
])('%s', async (_, patch, missed) => {
  const answer = await sabotage(copy, patch());
  if (missed === undefined) expect(answer).toBeUndefined();
  else expect(answer).toContain(missed);
});

test('a test file that leaves a process or a folder behind is not green', async () => {
  const leaving = `import { spawn } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { test } from 'vitest';
test('the marked test', () => {
  mkdtempSync(tmpdir() + '/forgotten-');
  spawn('sleep', ['60'], { detached: true, stdio: 'ignore' }).unref();
});
`;
  const answer = await sabotage(copy, adding(leaving));
  expect(answer).toMatch(/left behind:\n {2}process \d+: sleep 60\n {2}temporary \S+\/forgotten-/);
});

test('a patch that does not apply is not taken for noticed', async () => {
  const patch = adding(body(''));
  writeFileSync(patch.file, '--- a/core/none.ts\n+++ b/core/none.ts\n@@ -1 +1 @@\n-a\n+b\n');
  expect(await sabotage(copy, patch)).toContain('does not apply');
});

test('every committed sabotage names what it harms and what must notice it', () => {
  const patches = readPatches(root);
  expect(patches.length).toBeGreaterThan(0);
  for (const patch of patches) expect(patch.invariant).not.toBe('');
});
