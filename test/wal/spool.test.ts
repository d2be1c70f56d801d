import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { archiveCommand } from '../../wal/archive-command.ts';
import { makeSpool, readSpool, release, type SpoolFile } from '../../wal/spool.ts';
import { tempDir } from '../support/temp.ts';

test('a file that was put in the place of the shipped one stays: its bytes are nowhere else', async () => {
  const spool = await makeSpool(tempDir());
  const path = join(spool.incoming, '000000010000000000000001');
  writeFileSync(path, 'shipped');
  const [file] = (await readSpool(spool)) as [SpoolFile];
  const other = join(spool.root, 'other');
  writeFileSync(other, 'new'); // while the first one is there, so that both cannot have the same inode
  renameSync(other, path);
  await release(file);
  expect(readFileSync(path, 'utf8')).toBe('new');
  await release((await readSpool(spool))[0] as SpoolFile);
  expect(existsSync(path)).toBe(false);
});

test('the spool is read in the order of archiving: history files, then segments; copies in the making are not there', async () => {
  const spool = await makeSpool(tempDir());
  const names = [
    '000000020000000000000003',
    '000000010000000000000004',
    '00000002.history',
    '.0000000100000000000000AA.7',
  ];
  for (const name of names) writeFileSync(join(spool.incoming, name), '');
  expect((await readSpool(spool)).map(({ name }) => name)).toEqual([names[2], names[1], names[0]]);
});

test('archive_command survives quotes and percent signs in folders', () => {
  const command = archiveCommand({ scripts: "/srv/it's 100%/bin", spool: '/srv/spool' });
  expect(command).toBe(`'/srv/it'\\''s 100%%/bin/archive-wal' '/srv/spool' "%p" "%f"`);
});
