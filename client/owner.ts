import { Command } from 'commander';
import { asPgproofError, type ErrorDocument } from '../core/errors.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { readOwner, takeOwnership } from '../repository/owner.ts';
import type { OwnerRecord } from '../repository/record.ts';
import { type Answer, type Session, verb } from './session.ts';
import { table } from './text.ts';

export const ownerVerb = (): Command =>
  new Command('owner')
    .description('the fleet that writes a cluster in its repositories; any other is refused')
    .addCommand(
      new Command('show').description('who it is, in each repository').argument('<cluster>').action(verb(show)),
    )
    .addCommand(
      new Command('take')
        .description('makes it this fleet from now on, in each repository; stop the other one first')
        .argument('<cluster>')
        .option('--reason <text>', 'stands beside the claim')
        .action(verb(take)),
    );

/** One repository's row; with an error it could not be asked. */
type Row = { repository: string; owner: OwnerRecord | null; before?: OwnerRecord | null; error: ErrorDocument | null };

async function show(session: Session, name: string): Promise<Answer> {
  const cluster = await session.cluster(name);
  const rows: Row[] = [...awayRows(cluster)];
  for (const repository of cluster.repositories)
    rows.push({
      repository: repository.name,
      owner: await readOwner(repository, name, { signal: session.signal }),
      error: null,
    });
  return answer(cluster, rows);
}

async function take(session: Session, name: string): Promise<Answer> {
  const cluster = await session.cluster(name);
  const { signal } = session;
  const reason = (session.options.reason as string | undefined) ?? null;
  const rows: Row[] = [...awayRows(cluster)];
  for (const repository of cluster.repositories) {
    try {
      const before = await takeOwnership(repository, { writer: cluster, reason }, { signal });
      rows.push({
        repository: repository.name,
        before,
        owner: await readOwner(repository, name, { signal }),
        error: null,
      });
    } catch (error) {
      if (signal.aborted) throw error;
      rows.push({ repository: repository.name, owner: null, error: asPgproofError(error).toDocument() });
    }
  }
  return answer(cluster, rows);
}

const awayRows = ({ unavailable }: ProtectedCluster): Row[] =>
  unavailable.map(({ name, error }) => ({ repository: name, owner: null, error: error.toDocument() }));

function answer({ name, fleet, config }: ProtectedCluster, rows: readonly Row[]): Answer {
  const repositories = rows.toSorted((a, b) => placeOf(config.repositories, a) - placeOf(config.repositories, b));
  const text = table(
    ['REPOSITORY', 'FLEET', 'SINCE', 'BY', 'REASON'],
    repositories.map(({ repository, owner, error }) =>
      error !== null
        ? [repository, 'AWAY', '', '', error.message]
        : [repository, owner?.fleet ?? 'nobody yet', owner?.claimedAt ?? '', owner?.by ?? '', owner?.reason ?? ''],
    ),
  );
  return {
    json: { cluster: name, fleet, repositories },
    text,
    exitCode: rows.some(({ error }) => error !== null) ? 1 : 0,
  };
}

const placeOf = (names: readonly string[], { repository }: Row): number => names.indexOf(repository);
