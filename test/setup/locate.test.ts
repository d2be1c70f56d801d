import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { cacheDirs, locatePostgres, locateTemporal, locateVersitygw, VERSITYGW_VERSION } from '../../setup/locate.ts';
import { tempDir } from '../support/temp.ts';

const PROGRAMS = ['postgres', 'initdb', 'pg_ctl', 'psql', 'pg_basebackup', 'pg_waldump', 'pg_verifybackup'];
let home: string;

beforeEach(() => {
  home = tempDir();
  vi.stubEnv('PGPROOF_CACHE', join(home, 'cache'));
  vi.stubEnv('PATH', join(home, 'path'));
});
afterEach(() => {
  vi.unstubAllEnvs();
});

function program(path: string, text = '#!/bin/sh\n'): string {
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, text);
  chmodSync(path, 0o755);
  return path;
}

test('a major in the own cache is found, a half-unpacked one is not', () => {
  const bin = join(home, 'cache/postgres/99/usr/lib/postgresql/99/bin');
  for (const name of PROGRAMS.slice(1)) program(join(bin, name));
  expect(locatePostgres('99')).toBeUndefined();
  program(join(bin, 'postgres'));
  expect(locatePostgres('99')).toBe(bin);
});

test('what root installed is looked for after the own cache, and PGPROOF_CACHE moves only the own one', () => {
  expect(cacheDirs()).toEqual([join(home, 'cache'), '/var/cache/pgproof']);
});

test('a Temporal on PATH is taken unless its server is older than the pinned one', () => {
  const cached = program(join(home, 'cache/temporal/1.5.1/temporal'));
  const onPath = (version: string) => program(join(home, 'path/temporal'), `#!/bin/sh\necho '${version}'\n`);
  onPath('temporal version 1.4.0 (Server 1.28.9, UI 2.1.0)');
  expect(locateTemporal()).toBe(cached);
  const recent = onPath('temporal version 0.0.0-DEV (Server 1.29.1, UI 2.42.1)');
  expect(locateTemporal()).toBe(recent);
  onPath('temporal version 2.0.0 (Server 1.30.0, UI 3.0.0)');
  expect(locateTemporal()).toBe(recent);
  onPath('something else');
  expect(locateTemporal()).toBe(cached);
});

test('an S3 server on PATH is taken before the pinned one in the cache', () => {
  const cached = program(join(home, `cache/versitygw/${VERSITYGW_VERSION}/versitygw`));
  expect(locateVersitygw()).toBe(cached);
  const onPath = program(join(home, 'path/versitygw'));
  expect(locateVersitygw()).toBe(onPath);
});
