import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { handOver, keepAutoConf, openingStatement } from '../../restore/handover.ts';
import { tempDir } from '../support/temp.ts';

async function handedOver(major: number): Promise<{ autoConf: string; opening: string }> {
  const folder = tempDir();
  writeFileSync(join(folder, 'PG_VERSION'), `${major}\n`);
  writeFileSync(join(folder, 'postgresql.conf'), "archive_library = 'basic_archive'\n");
  writeFileSync(join(folder, 'postgresql.auto.conf'), "work_mem = '7MB'\n");
  await keepAutoConf(folder);
  writeFileSync(join(folder, 'postgresql.auto.conf'), '# while recovery runs\n');
  await handOver(folder);
  return {
    autoConf: readFileSync(join(folder, 'postgresql.auto.conf'), 'utf8'),
    opening: await openingStatement(folder),
  };
}

test('scenario 22: a restored server archives nothing, also where the primary archived by a library', async () => {
  const { autoConf, opening } = await handedOver(18);
  expect(autoConf).toBe("work_mem = '7MB'\narchive_command = '/bin/false'\narchive_library = ''\n");
  expect(opening).toBe(
    'ALTER SYSTEM RESET archive_library; ALTER SYSTEM RESET archive_command; SELECT pg_reload_conf();',
  );
});

test('a major without archive_library is not told of it', async () => {
  const { autoConf, opening } = await handedOver(14);
  expect(autoConf).toBe("work_mem = '7MB'\narchive_command = '/bin/false'\n");
  expect(opening).toBe('ALTER SYSTEM RESET archive_command; SELECT pg_reload_conf();');
});
