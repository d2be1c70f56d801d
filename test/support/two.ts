import { join } from 'node:path';
import { inRepository, type ProtectedCluster } from '../../postgres/cluster.ts';
import { inspectServer } from '../../postgres/server.ts';
import { declareEraInAll } from '../../repository/eras.ts';
import { initRepository, type Repository } from '../../repository/repository.ts';
import { type FaultPlan, faulty } from '../../storage/fault.ts';
import { withRepositories } from './repositories.ts';
import type { Stage } from './stage.ts';

/** The stage's cluster with a second repository, which is written to, too. */
export type Two = {
  cluster: ProtectedCluster;
  near: Repository;
  far: Repository;
  /** The cluster as one of them has it. */
  nearly: ProtectedCluster;
  farther: ProtectedCluster;
  /** What goes wrong in each, to be changed while they are in use. */
  faults: { near: FaultPlan; far: FaultPlan };
};

/** @param required names; @defaultValue both */
export async function withFar(stage: Stage, { required }: { required?: string[] } = {}): Promise<Two> {
  const made = await initRepository('far', { type: 'file', path: join(stage.folder, 'far') });
  const faults = { near: [] as FaultPlan, far: [] as FaultPlan };
  const near = { ...stage.cluster.repository, store: faulty(stage.cluster.repository.store, faults.near) };
  const far = { ...made, store: faulty(made.store, faults.far) };
  const config = {
    ...stage.cluster.config,
    repositories: [near.name, far.name],
    write: 'all' as const,
    ...(required === undefined ? {} : { required }),
  };
  const cluster = { ...stage.cluster, config, ...withRepositories([near, far]) };
  await declareEraInAll([near, far], cluster, await inspectServer(config.connection));
  return {
    cluster,
    near,
    far,
    nearly: inRepository(cluster, near),
    farther: inRepository(cluster, far),
    faults,
  };
}
