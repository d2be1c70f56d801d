import { PgproofError } from '../core/errors.ts';
import { isRequired, writtenNames } from '../core/written.ts';
import type { FoundCluster } from '../postgres/cluster.ts';
import type { Repository } from '../repository/repository.ts';

/** A repository that the spool's files go to. */
export type Target = {
  name: string;
  /** Whether the spool keeps a file until this one has it, however long that takes. */
  required: boolean;
  /** Opens it, where it was away when the cluster was opened. */
  open(options: { signal: AbortSignal }): Promise<Repository>;
};

/** All that the config says WAL is written to: also those that are away now, because the spool has to wait for them. */
export function targetsOf({ name: cluster, config, repositories, unavailable }: FoundCluster): Target[] {
  return writtenNames(config).map((name) => {
    const opened = repositories.find((repository) => repository.name === name);
    const away = unavailable.find((repository) => repository.name === name);
    if (opened === undefined && away === undefined) {
      throw new PgproofError('internal', `repository '${name}' of cluster '${cluster}' was never opened`);
    }
    const open: Target['open'] = async (options) => opened ?? (away as NonNullable<typeof away>).open(options);
    return { name, required: isRequired(config, name), open };
  });
}
