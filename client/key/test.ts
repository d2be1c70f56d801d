import { PgproofError } from '../../core/errors.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import { type KeyTest, testKeys } from '../../repository/key-test.ts';
import type { Repository } from '../../repository/repository.ts';
import type { Answer, Session } from '../session.ts';
import { table } from '../text.ts';

export async function test(session: Session, name = ''): Promise<Answer> {
  const cluster = await session.cluster(name);
  const repository = repositoryOf(cluster, session.options.repository as string | undefined);
  const tests = await testKeys(repository, cluster, name, { signal: session.signal });
  return {
    json: {
      cluster: name,
      repository: repository.name,
      tests: tests.map(({ error, ...test }) => ({
        ...test,
        opens: error === null,
        error: error?.toDocument() ?? null,
      })),
    },
    text: render(name, repository, tests),
    exitCode: tests.every(({ error }) => error === null) ? 0 : 3,
  };
}

function repositoryOf(
  { repositories, unavailable, repository }: ProtectedCluster,
  name: string | undefined,
): Repository {
  const found = name === undefined ? repository : repositories.find((one) => one.name === name);
  if (found !== undefined) return found;
  const away = unavailable.find((one) => one.name === name);
  if (away !== undefined) throw away.error;
  throw new PgproofError('repository-unknown', `the cluster has no repository '${name}'`, {
    facts: { repository: name ?? null, known: repositories.map((one) => one.name) },
  });
}

function render(cluster: string, repository: Repository, tests: readonly KeyTest[]): string {
  const heading = `${cluster} in repository ${repository.name}`;
  if (tests.length === 0) return `${heading}\n  no backups, no dumps and no WAL`;
  const rows = tests.map(({ what, keyId, error }) => [
    what,
    error === null ? 'opens' : 'CLOSED',
    error === null ? (keyId ?? 'not encrypted') : `${error.code}: ${error.message}`,
  ]);
  return `${heading}\n${table(['WHAT', '', 'KEY SET'], rows)}`;
}
