import { expect, test } from 'vitest';
import { quoteSetting, settingLines } from '../../postgres/settings.ts';

test('a setting is quoted so that PostgreSQL reads back the same value', () => {
  expect(quoteSetting('restore_command', `'/a b/restore-wal' "%f" \\n`)).toBe(
    `restore_command = '''/a b/restore-wal'' "%f" \\\\n'`,
  );
});

test('a value with a line break and a name that is none are refused', () => {
  expect(() => quoteSetting('work_mem', "1'\nfsync = off")).toThrow(/line break/);
  expect(() => quoteSetting('a b', '1')).toThrow(/not the name/);
});

test('lines keep their order', () => {
  expect(settingLines({ port: '1', 'my.ext': '' })).toBe("port = '1'\nmy.ext = ''\n");
});
