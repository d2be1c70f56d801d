import { expect, test } from 'vitest';
import { PlainCheck } from '../../dump/archive/plain.ts';
import { Feed } from '../../dump/archive/reading.ts';
import { readToc } from '../../dump/archive/toc.ts';

const words = '\n--\n-- PostgreSQL database dump complete\n--\n\n';
const head = '--\n-- PostgreSQL database dump\n--\n\n';

function isWhole(text: string, program: 'pg_dump' | 'pg_dumpall' = 'pg_dump'): boolean {
  const check = new PlainCheck(program);
  for (let at = 0; at < text.length; at += 7) check.read(Buffer.from(text.slice(at, at + 7)));
  try {
    check.finish();
    return true;
  } catch (error) {
    expect(error).toMatchObject({ code: 'dump-unverified' });
    return false;
  }
}

test('SQL that is cut behind rows that hold its last words is not whole, where its beginning says how it ends', () => {
  const rows = `COPY public.texts (text) FROM stdin;${words}`;
  const locked = `${head}\\restrict abc\n\n`;
  expect(isWhole(locked + rows)).toBe(false);
  expect(isWhole(`${locked}${rows}\\.\n${words}\\unrestrict abc\n\n`)).toBe(true);
  expect(isWhole(`${head}${rows}\\.\n${words}`)).toBe(true); // as older ones wrote it

  const all = (text: string) => text.replaceAll('database dump', 'database cluster dump');
  const globals = all(locked);
  expect(isWhole(globals + all(rows), 'pg_dumpall')).toBe(false);
  expect(isWhole(`${globals}CREATE ROLE a;\n\n\\unrestrict abc\n${all(words)}`, 'pg_dumpall')).toBe(true);
  expect(isWhole(`${all(head)}CREATE ROLE a;\n${all(words)}`, 'pg_dumpall')).toBe(true);
});

test('a text in a table of contents is passed over, however long it says that it is', () => {
  const numbers = Array.from({ length: 7 }, () => [0, 1, 0, 0, 0]).flat();
  const feed = new Feed(readToc('offset'));
  const beginning = [...Buffer.from('PGDMP\x01\x10\x00\x04\x08\x01\x00', 'latin1'), ...numbers];
  feed.push(Buffer.from([...beginning, 0, 0xff, 0xff, 0xff, 0x7f]));
  for (let chunk = 0; chunk < 100; chunk += 1) feed.push(Buffer.alloc(1 << 16));
  expect(feed).toMatchObject({ result: undefined, heldBytes: 0 });
});
