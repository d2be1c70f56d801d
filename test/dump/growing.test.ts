import { closeSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { GrowingFolder } from '../../dump/directory/growing.ts';
import { tempDir } from '../support/temp.ts';

test('a file is whole once nobody has it open; an empty one, whose writer may be about to open it, at the end', () => {
  const folder = tempDir();
  const files = new GrowingFolder(folder, process.pid);
  const look = (hasEnded = false): string[] => {
    files.look(hasEnded);
    return [...files.files.values()].filter(({ isWhole }) => isWhole).map(({ name }) => name);
  };
  writeFileSync(join(folder, 'blob_1.dat'), '');
  writeFileSync(join(folder, '2.dat'), 'rows');
  expect(look()).toEqual([]);
  expect(look()).toEqual(['2.dat']);
  const late = openSync(join(folder, 'blob_1.dat'), 'w');
  writeSync(late, 'large');
  closeSync(late);
  expect(look()).toEqual(['2.dat']);
  expect(look().toSorted()).toEqual(['2.dat', 'blob_1.dat']);
  expect(files.files.get('blob_1.dat')).toMatchObject({ bytes: 5 });
  writeFileSync(join(folder, 'blob_3.dat'), '');
  look();
  expect(look(true)).toContain('blob_3.dat');
});
