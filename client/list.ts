import { Command } from 'commander';
import { formatBytes } from '../core/format.ts';
import { listBothIn } from '../repository/either.ts';
import type { MergedEntry } from '../repository/merged.ts';
import { dumpSummary, dumpsTable } from './dump-text.ts';
import { copiesText, whereDamaged } from './places-text.ts';
import { type Answer, type Session, verb } from './session.ts';
import { table } from './text.ts';
import { damageOf, newestVerifies, type Verified, verifiedLines } from './verified.ts';

export const listVerb = (): Command =>
  new Command('list')
    .description('the backups and dumps in the repositories, oldest first; damaged ones are shown as such')
    .argument('[cluster]', 'only this cluster')
    .action(verb(list));

async function list(session: Session, only?: string): Promise<Answer> {
  const host = await session.host();
  const names = only === undefined ? Object.keys(host.config.clusters) : [only];
  const clusters = await Promise.all(names.map((name) => listCluster(session, name)));
  const damaged = clusters.some(
    ({ backups, dumps, verified }) =>
      [...backups, ...dumps].some(({ damagedIn }) => damagedIn.length > 0) ||
      verified.some(({ verify }) => verify?.damage.length),
  );
  return { json: { clusters }, text: clusters.map(renderCluster).join('\n\n'), exitCode: damaged ? 3 : 0 };
}

async function listCluster(session: Session, name: string) {
  const cluster = await session.cluster(name);
  const { repositories, unavailable, keys } = cluster;
  const { backups, dumps, unasked } = await listBothIn(repositories, keys, name, { signal: session.signal });
  const away = [...unavailable.map((one) => ({ repository: one.name, error: one.error })), ...unasked];
  const verified = await newestVerifies(cluster, session.signal);
  return {
    cluster: name,
    repository: cluster.repository.name,
    /** All of the config; those with an error could not be asked, and what lies only there is not listed. */
    repositories: cluster.config.repositories.map((repository) => ({
      name: repository,
      error: away.find((one) => one.repository === repository)?.error.toDocument() ?? null,
    })),
    encrypted: cluster.keys.current !== null,
    authenticated: cluster.keys.current !== null,
    verified,
    backups: backups.map((entry) => summary(entry, verified)),
    dumps: dumps.map((entry) => dumpSummary(entry, verified)),
  };
}

export function storedBytes(record: { tablespaces: { parts: { storedBytes: number }[] }[] }): number {
  return record.tablespaces.flatMap(({ parts }) => parts).reduce((sum, part) => sum + part.storedBytes, 0);
}

export function plainBytes(record: { tablespaces: { parts: { plainBytes: number }[] }[] }): number {
  return record.tablespaces.flatMap(({ parts }) => parts).reduce((sum, part) => sum + part.plainBytes, 0);
}

function summary(entry: MergedEntry, verified: readonly Verified[]) {
  const damage = damageOf(entry.id, verified);
  const { id, era, repositories } = entry;
  const damagedIn = entry.damagedIn.map(({ repository, error }) => ({ repository, error: error.toDocument() }));
  const places = { repositories, damagedIn };
  if (entry.state === 'damaged')
    return { id, era, state: entry.state, ...places, error: entry.error.toDocument(), damage };
  const { record } = entry;
  return {
    id,
    era,
    state: entry.state,
    ...places,
    type: record.type,
    parent: record.parent,
    timeline: record.timeline,
    startLsn: record.startLsn,
    stopLsn: record.stopLsn,
    startedAt: record.startedAt,
    stoppedAt: record.stoppedAt,
    sizeBytes: plainBytes(record),
    storedBytes: storedBytes(record),
    serverVersion: record.serverVersion,
    cipher: record.codec.cipher,
    /** What the newest verify of each repository found wrong with it. */
    damage,
  };
}

function renderCluster(cluster: Awaited<ReturnType<typeof listCluster>>): string {
  const protection = cluster.encrypted ? '' : '  NOT ENCRYPTED, NOT AUTHENTICATED';
  const isOne = cluster.repositories.length === 1;
  const heading = `${cluster.cluster} in ${placesText(cluster)}${protection}`;
  const checked = verifiedLines(cluster.verified).join('\n');
  const tables = [
    ...(cluster.backups.length === 0 ? ['  no backups'] : [backupsTable(cluster.backups, isOne)]),
    ...(cluster.dumps.length === 0 ? [] : [dumpsTable(cluster.dumps)]),
  ];
  return [heading, ...tables, checked].join('\n');
}

function backupsTable(backups: Listed['backups'], isOne: boolean): string {
  const rows = backups.map((backup) =>
    backup.state === 'damaged'
      ? [backup.id, 'DAMAGED', '', '', '', backup.error.message, ...(isOne ? [] : [copiesText(backup)])]
      : [
          backup.id,
          backup.type,
          backup.stoppedAt,
          formatBytes(backup.sizeBytes),
          formatBytes(backup.storedBytes),
          `timeline ${backup.timeline}, ${backup.stopLsn}${whereDamaged(backup.damage)}`,
          ...(isOne ? [] : [copiesText(backup)]),
        ],
  );
  const columns = ['ID', 'TYPE', 'RESTORABLE FROM', 'SIZE', 'STORED', 'WHERE', ...(isOne ? [] : ['COPIES'])];
  return table(columns, rows);
}

type Listed = Awaited<ReturnType<typeof listCluster>>;

function placesText({ repository, repositories }: Pick<Listed, 'repository' | 'repositories'>): string {
  if (repositories.length === 1) return `repository ${repository}`;
  const away = repositories.flatMap(({ name, error }) =>
    error === null ? [] : [`\n  AWAY ${name}: ${error.message}${error.hint === null ? '' : `\n       ${error.hint}`}`],
  );
  return `repositories ${repositories.map(({ name }) => name).join(', ')}${away.join('')}`;
}
