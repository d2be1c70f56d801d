import { join } from 'node:path';
import type { Lsn } from '../../core/lsn.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import { currentEra, declareEraInAll } from '../../repository/eras.ts';
import type { EraRecord } from '../../repository/record.ts';
import { initRepository, type Repository } from '../../repository/repository.ts';
import { listWal } from '../../repository/wal.ts';
import { type FaultPlan, faulty } from '../../storage/fault.ts';
import { withRepositories } from '../support/repositories.ts';
import { type Archive, openArchive, systemId } from './support.ts';

export const facts = {
  systemId,
  major: 18,
  segmentBytes: 1024 * 1024,
  timeline: 1,
  insertLsn: '0/100000' as Lsn,
  inRecovery: false,
};

export type Two = Archive & {
  near: Repository;
  far: Repository;
  /** Of `far`, to be changed while it is in use. */
  faults: FaultPlan;
  dir: string;
  /** Segments that a repository has, by name, with their number of contents. */
  held(repository: Repository): Promise<Record<string, number>>;
};

/** Two repositories that are written to, and a spool between them; opened again where they are there. @param required @defaultValue both */
export async function openTwo(dir: string, required?: string[]): Promise<Two> {
  const archive = await openArchive(dir, { key: true, era: false });
  const near = archive.cluster.repository;
  const made = await initRepository('far', { type: 'file', path: join(dir, 'far') });
  const faults: FaultPlan = [];
  const far = { ...made, store: faulty(made.store, faults) };
  const config = {
    ...archive.cluster.config,
    repositories: ['local', 'far'],
    write: 'all' as const,
    ...(required === undefined ? {} : { required }),
  };
  const cluster: ProtectedCluster = { ...archive.cluster, config, ...withRepositories([near, far]) };
  const { era } = await declareOnce(cluster, [near, far]);
  const held = async (repository: Repository) =>
    Object.fromEntries([...(await listWal(repository, cluster.name, era))].map(([name, tags]) => [name, tags.length]));
  return { ...archive, cluster, near, far, faults, dir, held };
}

async function declareOnce(cluster: ProtectedCluster, repositories: Repository[]): Promise<EraRecord> {
  const declared = await currentEra(cluster.repository, cluster.name);
  return declared ?? (await declareEraInAll(repositories, cluster, facts)).era;
}
