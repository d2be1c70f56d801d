import { Command } from 'commander';
import { formatBytes } from '../core/format.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { chooseEither, listBothIn } from '../repository/either.ts';
import type { Whereabouts } from '../repository/merged.ts';
import type { BackupRecord } from '../repository/record.ts';
import { dumpText } from './dump-text.ts';
import { plainBytes, storedBytes } from './list.ts';
import { type Answer, type Session, verb } from './session.ts';
import { table } from './text.ts';

export const showVerb = (): Command =>
  new Command('show')
    .description('one backup or dump in full: what it is of, its parts, how it was verified')
    .argument('<cluster>')
    .argument('<id>', 'of a backup or a dump, or a unique beginning of it')
    .action(verb(show));

async function show(session: Session, name: string, id: string): Promise<Answer> {
  const cluster = await session.cluster(name);
  const both = await listBothIn(cluster.repositories, cluster.keys, name, { signal: session.signal });
  const { record, what, repositories, damagedIn } = chooseEither(both, name, id);
  const places = placesOf(cluster, repositories, damagedIn);
  const text = what === 'dump' ? dumpText(record, places) : render(record, places);
  return { json: { ...record, repositories }, text };
}

/** Where it is, for a cluster with several repositories. */
function placesOf(
  { config }: ProtectedCluster,
  repositories: Whereabouts['repositories'],
  damagedIn: Whereabouts['damagedIn'],
): [string, string][] {
  if (config.repositories.length === 1) return [];
  const damage = damagedIn.map(({ repository, error }): [string, string] => [
    'DAMAGED',
    `${repository}: ${error.message}`,
  ]);
  return [['whole in', repositories.join(', ')], ...damage];
}

function render(record: BackupRecord, places: readonly [string, string][]): string {
  const facts: [string, string][] = [
    ['backup', `${record.id} (${record.type})`],
    ['cluster', `${record.cluster}, era ${record.era}`],
    ['server', `PostgreSQL ${record.serverVersion}, system identifier ${record.systemId}`],
    ['taken', `${record.startedAt} to ${record.stoppedAt}`],
    ['WAL needed', `${record.startLsn} to ${record.stopLsn} on timeline ${record.timeline}`],
    ['size', `${formatBytes(plainBytes(record))}, stored ${formatBytes(storedBytes(record))}`],
    [
      'codec',
      record.codec.cipher === 'none'
        ? 'zstd, NOT ENCRYPTED, NOT AUTHENTICATED'
        : `zstd, ${record.codec.cipher}, key ${record.keyId}`,
    ],
    ['verified', `${record.verified.files} files against ${record.verified.against} while ${record.verified.how}`],
    ['signature', record.signature === null ? 'none' : `valid, key ${record.signature.keyId}`],
    ...places,
    ...(record.notes ?? []).map((note): [string, string] => ['note', note]),
  ];
  const parts = record.tablespaces.flatMap((tablespace) =>
    tablespace.parts.map((part) => [part.key, formatBytes(part.storedBytes), part.sha256]),
  );
  return `${facts.map(([name, value]) => `${name.padEnd(12)}${value}`).join('\n')}\n\n${table(['PART', 'STORED', 'SHA-256'], parts)}`;
}
