import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { takeBackup } from '../../backup/backup.ts';
import { asPgproofError } from '../../core/errors.ts';
import { openCluster } from '../../host/cluster.ts';
import { openHost } from '../../host/host.ts';
import { inspectServer } from '../../postgres/server.ts';
import { declareEra } from '../../repository/eras.ts';
import { initRepository } from '../../repository/repository.ts';

/*
 * Takes a backup onto a file system that is too small, then onto one that is not. Runs in a mount namespace of its own
 * (unshare -Urm), so that nobody else sees the mount:
 *   unshare -Urm node full-disk.ts <config file> <folder to mount on> <MiB that are free>
 * Prints what happened as JSON.
 */

const [configFile, place, freeMib] = process.argv.slice(2) as [string, string, string];
const folder = join(configFile, '..');
const totalMib = 128;

mkdirSync(join(folder, place), { recursive: true });
execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${totalMib}m,mode=0700`, 'tmpfs', join(folder, place)]);

const host = await openHost({ configFile, host: 'db-7', log: pino({ level: 'silent' }) });
await initRepository('local', host.config.repositories.local!);
const cluster = await openCluster(host, 'shop');
if (place === 'repository') {
  await declareEra(cluster.repository, cluster, 'shop', await inspectServer(cluster.config.connection));
}

const filler = join(folder, place, '.filler');
writeFileSync(filler, Buffer.alloc((totalMib - Number(freeMib)) * 1024 * 1024));
const run = { signal: new AbortController().signal, progress: () => {} };
const failed = await takeBackup(cluster, run).then(
  () => null,
  (error: unknown) => asPgproofError(error).toDocument(),
);
const left = await baseKeys();
rmSync(filler);
const { id } = await takeBackup(cluster, run);
console.log(JSON.stringify({ failed, left, id, afterwards: await baseKeys() }));

async function baseKeys(): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of cluster.repository.store.list('shop/')) if (key.includes('/base/')) keys.push(key);
  return keys;
}
