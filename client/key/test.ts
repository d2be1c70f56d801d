import { isAway, type ProtectedCluster, repositoryCalled } from '../../postgres/cluster.ts';
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

function repositoryOf(cluster: ProtectedCluster, name: string | undefined): Repository {
  if (name === undefined) return cluster.repository;
  const found = repositoryCalled(cluster, name);
  if (isAway(found)) throw found.error;
  return found;
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
