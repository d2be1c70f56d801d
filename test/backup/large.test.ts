import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { backupOutcome } from '../../report/backup.ts';
import { canonicalBytes, maxDocumentBytes, parseDocument } from '../../repository/document.ts';
import { backupRecord } from '../../repository/record.ts';
import { idOf, recordOf } from '../repository/support.ts';

const run = promisify(execFile);
const node = join(import.meta.dirname, '../../node_modules/.bin/node');

test('scenario 10: 50,000 tables are held against their manifest within 192 MB of heap', async () => {
  const { stdout } = await run(node, ['--max-old-space-size=192', join(import.meta.dirname, 'many-tables.ts')]);
  expect(stdout).toBe('200000 0');
});

test('scenario 10: the list of the parts of 10 TB fits into a commit file, and nothing of it is in what a workflow is told', () => {
  const record = { ...recordOf(idOf(1)), signature: null };
  const [one] = record.tablespaces[0]?.parts ?? [];
  const bytes = 4 * 1024 ** 3;
  const parts = Array.from({ length: Math.ceil(10e12 / bytes) }, (_, index) => ({
    ...(one as NonNullable<typeof one>),
    key: (one?.key ?? '').replace('.1.', `.${index + 1}.`),
    storedBytes: bytes,
    plainBytes: 3 * bytes,
  }));
  const large = { ...record, tablespaces: [{ name: 'pgdata', path: null, parts }] };
  const document = canonicalBytes(large);
  expect(document.length).toBeLessThan(maxDocumentBytes / 16);
  expect(parseDocument('key', Buffer.from(document), backupRecord).tablespaces[0]?.parts).toHaveLength(2329);
  const told = JSON.stringify(backupOutcome(large, { startedAt: new Date().toISOString() }));
  expect(told).not.toContain('.tar.zst');
  expect(told.length).toBeLessThan(4096);
});
