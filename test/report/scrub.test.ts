import { expect, test } from 'vitest';
import { scrub, scrubText } from '../../report/scrub.ts';

test.each([
  ['no connection to postgres://shop:hunter2@db-7:5432/shop', 'hunter2'],
  ["could not connect: host=db-7 user=shop password='hun ter2' dbname=shop", 'hun ter2'],
  ['password=hunter2 sslmode=require', 'hunter2'],
  ['PGPASSWORD=hunter2 pg_basebackup', 'hunter2'],
  ['{"password":"hunter2","user":"shop"}', 'hunter2'],
  ["ALTER ROLE shop PASSWORD 'hunter2' VALID UNTIL 'infinity'", 'hunter2'],
  ['https://store/x?access_key=hunter2&part=1', 'hunter2'],
  ['-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----', 'hunter2'],
  ['-----BEGIN PRIVATE KEY-----\nhunter2, cut off', 'hunter2'],
])('blanks the secret in: %s', (text, secret) => {
  expect(scrubText(text)).not.toContain(secret);
  expect(scrubText(text)).toContain('***');
});

test.each([
  "role 'pgproof' wants a password, and there is none",
  'Give connection.password as {file: …} or {env: …}, or add a line to .pgpass (mode 0600).',
  'the report of shop, port 5432, backup 20261120T140501Z-full-3fa94c1e at 0/5000148',
])('leaves alone what holds no secret: %s', (text) => {
  expect(scrubText(text)).toBe(text);
});

test('reaches every string of a report, and changes nothing else', () => {
  const value = { a: [{ b: 'password=x1' }, 7, null, true], c: 'plain' };
  expect(scrub(value)).toEqual({ a: [{ b: 'password=***' }, 7, null, true], c: 'plain' });
});
