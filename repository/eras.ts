import { PgproofError } from '../core/errors.ts';
import type { Lsn } from '../core/lsn.ts';
import type { TimelineId } from '../core/segment.ts';
import { createIdentical } from '../storage/create.ts';
import type { StoreOptions } from '../storage/store.ts';
import { canonicalBytes, readDocument } from './document.ts';
import type { ClusterKeys } from './keys.ts';
import { eraKey, eraPrefix, formatVersion } from './layout.ts';
import { assertOwner, type Writer } from './owner.ts';
import { type EraRecord, eraRecord } from './record.ts';
import type { Repository } from './repository.ts';

/** What a server says of itself that an era is declared from. */
export type EraFacts = {
  systemId: string;
  major: number;
  segmentBytes: number;
  timeline: TimelineId;
  insertLsn: Lsn;
  inRecovery: boolean;
};

/** Oldest first. */
export async function listEras(
  repository: Repository,
  cluster: string,
  options: StoreOptions = {},
): Promise<EraRecord[]> {
  const eras: EraRecord[] = [];
  for await (const { key } of repository.store.list(eraPrefix(cluster), options)) {
    const era = await readDocument(repository.store, key, eraRecord, options);
    if (key !== eraKey(cluster, era.era)) {
      throw new PgproofError('record-invalid', `'${key}' describes the era '${era.era}'`, {
        facts: { key, era: era.era },
      });
    }
    eras.push(era);
  }
  return eras.sort(byNumber);
}

/** The era that is written now; undefined before the first was declared. */
export async function currentEra(
  repository: Repository,
  cluster: string,
  options: StoreOptions = {},
): Promise<EraRecord | undefined> {
  return (await listEras(repository, cluster, options)).at(-1);
}

/** @throws {PgproofError} `era-undeclared` with the verb that declares one. */
export async function requireEra(
  repository: Repository,
  cluster: string,
  options: StoreOptions = {},
): Promise<EraRecord> {
  const era = await currentEra(repository, cluster, options);
  if (era !== undefined) return era;
  throw new PgproofError(
    'era-undeclared',
    `no era of cluster '${cluster}' is declared in repository '${repository.name}'`,
    {
      facts: { cluster, repository: repository.name },
      hint: `Run: pgproof era new ${cluster}`,
    },
  );
}

/**
 * Declares the server as the cluster from now on. A person's act: no push ever does it.
 * @throws {PgproofError} `era-exists` when the current era is this very data directory; `server-in-recovery`: a standby leads nothing.
 */
export async function declareEra(
  repository: Repository,
  { keys, walKeys }: ClusterKeys,
  cluster: string,
  facts: EraFacts,
  options: StoreOptions = {},
): Promise<EraRecord> {
  const current = await currentEra(repository, cluster, options);
  if (current?.systemId === facts.systemId && current.major === facts.major) {
    throw new PgproofError('era-exists', `the era ${current.era} is this server's already`, {
      facts: { cluster, era: current.era },
      hint: 'A new era begins with a new data directory only: after initdb or pg_upgrade.',
    });
  }
  if (facts.inRecovery) {
    throw new PgproofError(
      'server-in-recovery',
      `the server of '${cluster}' is in recovery; an era is declared from the primary`,
      {
        facts: { cluster },
        hint: 'Point clusters.<name>.connection to the primary.',
      },
    );
  }
  const number = String((current === undefined ? 0 : eraNumber(current)) + 1).padStart(4, '0');
  const record: EraRecord = {
    formatVersion,
    era: `${number}-pg${facts.major}-${facts.systemId}`,
    systemId: facts.systemId,
    major: facts.major,
    segmentBytes: facts.segmentBytes,
    timeline: facts.timeline,
    startLsn: facts.insertLsn,
    keyId: keys.current?.id ?? null,
    walKeyId: walKeys.current?.id ?? null,
    declaredAt: new Date().toISOString(),
  };
  await createIdentical(repository.store, eraKey(cluster, record.era), canonicalBytes(record), options);
  return record;
}

/**
 * Declares the server in several repositories, in each by the same document; what one lacks of the eras that another has
 * is brought to it: if all of them are this fleet's. So a repository that was away, or that is new, is completed by calling this again.
 * @param repositories at least one.
 * @throws {PgproofError} as `declareEra`; `owner-other`; `era-exists` only where no repository lacked anything.
 */
export async function declareEraInAll(
  repositories: readonly Repository[],
  cluster: Writer & ClusterKeys,
  facts: EraFacts,
  options: StoreOptions = {},
): Promise<{ era: EraRecord; broughtTo: string[] }> {
  const { name } = cluster;
  for (const repository of repositories) await assertOwner(repository, cluster, options);
  const known = await erasOfAll(repositories, name, options);
  const newest = known.at(-1);
  const isDeclared = newest?.systemId === facts.systemId && newest.major === facts.major;
  const broughtTo = await bringEras(repositories, name, known, options);
  const [first, ...others] = repositories as [Repository, ...Repository[]];
  if (isDeclared && broughtTo.length > 0) return { era: newest, broughtTo };
  const era = await declareEra(first, cluster, name, facts, options);
  await bringEras(others, name, [era], options);
  return { era, broughtTo: repositories.map(({ name }) => name) };
}

/** The eras that any of them has, oldest first. */
async function erasOfAll(
  repositories: readonly Repository[],
  cluster: string,
  options: StoreOptions,
): Promise<EraRecord[]> {
  const found = new Map<string, EraRecord>();
  for (const repository of repositories)
    for (const era of await listEras(repository, cluster, options)) if (!found.has(era.era)) found.set(era.era, era);
  return [...found.values()].sort(byNumber);
}

/** @returns names of the repositories that lacked one. */
async function bringEras(
  repositories: readonly Repository[],
  cluster: string,
  eras: readonly EraRecord[],
  options: StoreOptions,
): Promise<string[]> {
  const lacked: string[] = [];
  for (const repository of repositories) {
    const there = new Set((await listEras(repository, cluster, options)).map(({ era }) => era));
    const missing = eras.filter(({ era }) => !there.has(era));
    for (const era of missing)
      await createIdentical(repository.store, eraKey(cluster, era.era), canonicalBytes(era), options);
    if (missing.length > 0) lacked.push(repository.name);
  }
  return lacked;
}

/** Oldest first. */
export const byNumber = (a: EraRecord, b: EraRecord): number => eraNumber(a) - eraNumber(b);

const eraNumber = ({ era }: EraRecord): number => Number(era.slice(0, 4));
