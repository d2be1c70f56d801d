import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { tempDir } from '../support/temp.ts';
import { checkArrows } from './check.ts';

function findingsFor(files: Record<string, string>): string[] {
  const root = tempDir();
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  const { files: inspected, findings } = checkArrows(root);
  expect(inspected).toBe(Object.keys(files).length);
  return findings;
}

test.each([
  ['core/a.ts', "import { readFile } from 'node:fs';", 'core/ is pure'],
  ['core/a.ts', "import { readFile } from 'fs';", 'core/ is pure'],
  ['workflows/a.ts', "const { hash } = await import('node:crypto');", 'workflows/ is pure'],
  ['workflows/a.ts', "import { steps } from '../activities/steps.ts';", 'only types'],
  ['workflows/a.ts', "import { type Steps } from '../activities/steps.ts';", 'only types'],
  ['workflows/a.ts', "import type { Host } from '../host/open.ts';", 'may not import host/'],
  ['storage/a.ts', "export * from '../repository/layout.ts';", 'may not import repository/'],
  ['wal/a.ts', "type Plan = import('../restore/plan.ts').Plan;", 'may not import restore/'],
  ['backup/a.ts', "import '@temporalio/activity';", 'knows of Temporal'],
  ['host/a.ts', "import type { Context } from '@temporalio/activity';", 'knows of Temporal'],
  ['setup/a.ts', "import '../core/lsn.ts';", 'may not import core/'],
  ['client/a.ts', "import '../test/support/temp.ts';", 'may not import test/'],
  ['client/a.ts', 'await import(name);', 'computed'],
])('%s with %s is found', (file, source, reason) => {
  const findings = findingsFor({ [file]: source });
  expect(findings).toHaveLength(1);
  expect(findings[0]).toContain(reason);
});

test('an unknown folder is a finding, so that a new layer cannot escape the rules', () => {
  expect(findingsFor({ 'helpers/a.ts': 'export {};' })).toEqual([expect.stringContaining('helpers/ is no layer')]);
});

test('a circle of imports is found, also of types, and also within one folder', () => {
  const files = {
    'core/a.ts': "import './b.ts';",
    'core/b.ts': "import type { C } from './c.ts';",
    'core/c.ts': "import './d.ts'; export { b } from './b.ts';",
    'core/d.ts': 'export {};',
    'test/a.ts': "import './a.ts';",
  };
  expect(findingsFor(files)).toEqual([
    expect.stringContaining('core/b.ts → core/c.ts → core/b.ts'),
    expect.stringContaining('test/a.ts → test/a.ts'),
  ]);
});

test('imports that point down are fine', () => {
  const findings = findingsFor({
    'client/a.ts': "import '../workers/a.ts'; import '../setup/locate.ts'; import 'node:fs';",
    'workflows/a.ts': "import type { Steps } from '../activities/steps.ts'; import '../core/lsn.ts';",
    'drill/a.ts':
      "import '../restore/plan.ts'; import '../report/write.ts'; import './b.ts'; import '../codec/zstd.ts';",
    'test/a.ts': "import '../client/a.ts'; import '@temporalio/worker';",
  });
  expect(findings).toEqual([]);
});
