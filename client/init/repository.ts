import { join, resolve } from 'node:path';
import { PgproofError } from '../../core/errors.ts';
import { defaultStateDir } from '../../host/paths.ts';

/** The config's section of the first repository, under the name that it gets there. */
export type RepositorySection = { name: string; section: Record<string, unknown> };

export type RepositoryOptions = {
  repository?: string | undefined;
  region?: string;
  endpoint?: string;
  pathStyle?: boolean;
};

/**
 * What `--repository` means: a folder, or `oss://bucket/prefix` and `s3://bucket/prefix` with the options that belong to them.
 * The schema judges the values when the file is read.
 * @throws {PgproofError} `usage` for another scheme, no bucket, or options of a bucket beside a folder.
 */
export function repositorySection({ repository, region, endpoint, pathStyle }: RepositoryOptions): RepositorySection {
  const of = { region, endpoint, pathStyle };
  const [, scheme, bucket, path] = /^([a-z0-9]+):\/\/([^/]*)\/?(.*)$/.exec(repository ?? '') ?? [];
  const given = Object.entries(of).filter(([, value]) => value !== undefined && value !== false);
  if (scheme === undefined) {
    if (given.length > 0) throw refused('--region, --endpoint and --path-style belong to a bucket');
    return {
      name: 'local',
      section: { type: 'file', path: resolve(repository ?? join(defaultStateDir(), 'repository')) },
    };
  }
  if ((scheme !== 'oss' && scheme !== 's3') || bucket === '')
    throw refused(`'${repository}' is neither a folder nor a bucket`);
  if (scheme === 'oss' && of.region === undefined) throw refused('a bucket of OSS needs --region');
  const prefix = path === undefined || path === '' ? {} : { prefix: path.endsWith('/') ? path : `${path}/` };
  return { name: scheme, section: { type: scheme, bucket, ...prefix, ...Object.fromEntries(given) } };
}

function refused(message: string): PgproofError {
  return new PgproofError('usage', message, {
    hint: 'Examples: --repository /backups · --repository oss://bucket/prefix --region cn-hangzhou · --repository s3://bucket --region eu-central-1',
  });
}
