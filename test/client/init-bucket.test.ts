import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { openStore } from '../../storage/open.ts';
import { alternate, type Cluster, startCluster } from '../support/postgres.ts';
import { startS3Server, type TestS3 } from '../support/s3-server.ts';
import { tempDir } from '../support/temp.ts';
import { type Failed, pgproof } from './cli.ts';

const [major] = alternate(0) as [string];
let server: Cluster;
let s3: TestS3;
beforeAll(async () => {
  server = await startCluster({ major });
  s3 = await startS3Server();
});
afterAll(async () => {
  await server?.dispose();
  await s3?.close();
});

function init(folder: string, ...more: string[]) {
  const where = ['--socket', server.socketDir, '--port', String(server.port), '--user', server.user, '--host', 'db-9'];
  const env = Object.fromEntries(Object.entries(s3.env()).map(([name, value]) => [name, String(value)]));
  return pgproof(['init', 'shop', ...where, ...more], { cwd: folder, env: { XDG_STATE_HOME: folder, ...env } });
}

test('init makes a repository in a bucket, and the configuration that names it', async () => {
  const folder = tempDir();
  const bucket = await s3.bucket();
  const of = ['--region', s3.region, '--endpoint', s3.endpoint, '--path-style'];
  const made = await init(folder, '--repository', `s3://${bucket}/backups/pgproof`, ...of);
  expect(made).toMatchObject({ code: 0, json: { repository: `s3://${bucket}/backups/pgproof` } });
  const { repositories, clusters } = parse(readFileSync(join(folder, 'pgproof.yaml'), 'utf8'));
  const section = {
    type: 's3',
    bucket,
    prefix: 'backups/pgproof/',
    region: s3.region,
    endpoint: s3.endpoint,
    pathStyle: true,
  };
  expect(repositories).toEqual({ s3: section });
  expect(clusters.shop.repositories).toEqual(['s3']);
  const store = await openStore(s3.config(bucket, { prefix: 'backups/pgproof/' }), { env: s3.env() });
  const keys: string[] = [];
  for await (const { key } of store.list('')) keys.push(key);
  expect(keys).toEqual([
    'README.txt',
    'pgproof-repository.json',
    expect.stringMatching(/^shop\/eras\/0001-/),
    'shop/owner/0001.json',
  ]);
});

test('init names a bucket that is missing, and refuses options that do not belong together', async () => {
  const of = ['--region', s3.region, '--endpoint', s3.endpoint, '--path-style'];
  const missing = (await init(tempDir(), '--repository', 's3://not-there/x/', ...of)) as { code: number; json: Failed };
  expect(missing).toMatchObject({ code: 2, json: { error: { code: 'store-misconfigured' } } });
  expect(missing.json.error.message).toContain("'not-there'");
  for (const wrong of [
    ['--repository', 'oss://vault'],
    ['--repository', 'ftp://vault'],
    ['--repository', 's3:///x'],
    ['--region', 'eu-central-1'],
  ]) {
    const folder = tempDir();
    expect(await init(folder, ...wrong)).toMatchObject({ code: 2, json: { error: { code: 'usage' } } });
    expect(existsSync(join(folder, 'pgproof.yaml'))).toBe(false);
  }
});
