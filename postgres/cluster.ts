import type { ClusterConfig, SinkConfig } from '../core/config.ts';
import { PgproofError } from '../core/errors.ts';
import { isRequired, writtenNames } from '../core/written.ts';
import type { KeyRing } from '../repository/keys.ts';
import type { Repository } from '../repository/repository.ts';

/** A cluster of this host, opened: all that an engine needs to work on it. `host/` opens it; engines take it as it is. */
export type ProtectedCluster = {
  name: string;
  /** That this host is of: the only one that may write the cluster. */
  fleet: string;
  /** Name of this host, as the config has it. */
  host: string;
  config: ClusterConfig;
  /** The one that functions of a single repository work on: the nearest that could be opened, unless `inRepository` chose another. */
  repository: Repository;
  /** All that could be opened, nearest first; at least one. What is read is read from any of them. */
  repositories: readonly Repository[];
  /** Those of them that backups and WAL are written to, nearest first. */
  written: readonly Repository[];
  /** Repositories of the config that could not be opened. */
  unavailable: readonly UnavailableRepository[];
  /** Of backups: they seal, sign and verify them. */
  keys: KeyRing;
  /** Of WAL and history files: the same, unless the config names a `walKey`. */
  walKeys: KeyRing;
  paths: ClusterPaths;
  /** Where reports go beside the repository; null: nowhere. */
  sink: ReportSink | null;
};

/** A table for reports, and the way to it. */
export type ReportSink = SinkConfig & {
  /** Folder of this host's state: reports that are on their way. */
  outbox: string;
  /** Hears why a report could not be put there. It is no reason for the operation to fail. */
  onUnqueued(error: PgproofError): void;
};

/** A repository that was away, or wrong, when the cluster was opened. */
export type UnavailableRepository = {
  name: string;
  /** Why it could not be opened. */
  error: PgproofError;
  /** Tries again. */
  open(options?: { signal?: AbortSignal }): Promise<Repository>;
};

/** The same cluster, for functions of a single repository to look at this one. */
export function inRepository(cluster: FoundCluster, repository: Repository): ProtectedCluster {
  return { ...cluster, repository };
}

/** The cluster's other repositories, and whether one more could not be opened: what looks like a leftover here may exist there. */
export const othersThan = (
  { repositories, unavailable }: Pick<ProtectedCluster, 'repositories' | 'unavailable'>,
  repository: Repository,
): { elsewhere: Repository[]; isOneAway: boolean } => ({
  elsewhere: repositories.filter((other) => other !== repository),
  isOneAway: unavailable.length > 0,
});

/**
 * The cluster's repository of this name, opened or not.
 * @throws {PgproofError} `repository-unknown` where its configuration names none such.
 */
export function repositoryCalled(
  { name: cluster, repositories, unavailable }: Pick<ProtectedCluster, 'name' | 'repositories' | 'unavailable'>,
  wanted: string,
): Repository | UnavailableRepository {
  const all = [...repositories, ...unavailable];
  const found = all.find(({ name }) => name === wanted);
  if (found !== undefined) return found;
  const known = all.map(({ name }) => name);
  throw new PgproofError('repository-unknown', `cluster '${cluster}' has no repository '${wanted}'`, {
    facts: { cluster, repository: wanted, known },
    hint: `It has: ${known.join(', ')}. Others are added to clusters.${cluster}.repositories.`,
  });
}

export const isAway = (one: Repository | UnavailableRepository): one is UnavailableRepository => 'error' in one;

/**
 * The repositories that a backup or an era goes to.
 * @throws {PgproofError} why a required one, or all of them, could not be opened; before anything is written.
 */
export function repositoriesToWrite({ config, written, unavailable }: ProtectedCluster): readonly Repository[] {
  const names = writtenNames(config);
  const away = unavailable.filter(({ name }) => names.includes(name));
  const blocking = away.find(({ name }) => isRequired(config, name)) ?? (written.length === 0 ? away[0] : undefined);
  if (blocking === undefined) return written;
  const { name: repository, error } = blocking;
  const message = `repository '${repository}', which must be written to, cannot be used: ${error.message}`;
  throw error.retold({ message, facts: { repository } });
}

/** A cluster of which maybe no repository answers, for whoever has something to tell all the same. */
export type FoundCluster = Omit<ProtectedCluster, 'repository'>;

/** Folders of one cluster in this host's state; made with mode 0700 when it is opened. */
export type ClusterPaths = {
  /** `<state>/clusters/<name>`: the shipper's and the heartbeat's notes. */
  state: string;
  /** Where archive_command puts finished WAL. Holds plain WAL. */
  spool: string;
  /** Backups that are copied and not yet committed; staging for clusters with tablespaces. */
  backups: string;
  /** One folder an attempt at a dump; what it held is gone when the attempt ends. */
  dumps: string;
  /** Frozen restore plans, `<id>.json`. */
  plans: string;
  /** One folder a recovery: prefetched WAL, for restore_command. */
  fetch: string;
  /** One folder a drill; nothing in it outlives the drill. */
  drills: string;
  /** `<state>/bin`: copies of the two shell scripts, so that PostgreSQL never points into a checkout. */
  scripts: string;
};
