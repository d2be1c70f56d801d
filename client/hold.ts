import { Command, InvalidArgumentError } from 'commander';
import { durationSeconds } from '../core/duration.ts';
import { hasCode, PgproofError } from '../core/errors.ts';
import { type Hold, isInForce, slowClock } from '../core/hold.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { type Both, chooseEither, type Either, listBothIn } from '../repository/either.ts';
import { listHolds, newHoldId, placeHold, releaseHold } from '../repository/holds.ts';
import type { Repository } from '../repository/repository.ts';
import { type Answer, type Session, verb } from './session.ts';
import { table } from './text.ts';

const duration = (text: string): number => {
  const seconds = durationSeconds(text);
  if (seconds !== undefined && seconds > 0) return seconds;
  throw new InvalidArgumentError('a duration, such as 30d, 12h or 2w.');
};

export const holdVerb = (): Command =>
  new Command('hold')
    .description('holds: what `expire` must not take, for whom, and until when')
    .addCommand(
      new Command('add')
        .description(
          'keeps a backup, its parents and the WAL that makes it whole, or a dump, in each repository that has it',
        )
        .argument('<cluster>')
        .argument('<id>', 'of the backup or dump, or a beginning that only one has')
        .requiredOption('--reason <text>', 'why; `hold list` and the deletion that it prevents show it')
        .option('--for <duration>', 'how long; default 30d', duration)
        .action(verb(add)),
    )
    .addCommand(
      new Command('remove')
        .description('releases a hold, in each repository; also that of a plan that nobody will start')
        .argument('<cluster>')
        .argument('<hold>', 'its id, or a beginning that only one has')
        .action(verb(remove)),
    )
    .addCommand(
      new Command('list').description('what is held now, in each repository').argument('<cluster>').action(verb(list)),
    );

type Listed = Hold & { repository: string };

async function add(session: Session, name: string, prefix: string): Promise<Answer> {
  const { signal, options } = session;
  const cluster = await session.cluster(name);
  const both = await listBothIn(cluster.repositories, cluster.keys, name, { signal });
  const { what, record } = chooseEither(both, name, prefix);
  const { id } = record;
  refuseSlowClock(name, both);
  const order = {
    id: newHoldId('hand'),
    cluster: name,
    operation: 'hand',
    by: session.requestedBy,
    reason: options.reason as string,
    seconds: (options.for as number | undefined) ?? duration('30d'),
    ...(what === 'dump' ? { needs: [], dumps: [id] } : { needs: [{ era: record.era, backups: [id], wal: [] }] }),
  } as const;
  const holds: Listed[] = [];
  const without: string[] = [];
  for (const repository of cluster.repositories) {
    try {
      holds.push({ ...(await placeHold(repository, order, { signal })), repository: repository.name });
    } catch (error) {
      if (!hasCode(error, 'backup-deleted')) throw error;
      without.push(repository.name);
    }
  }
  if (holds.length === 0) throw deletedEverywhere(name, what, id);
  const text = [
    render(holds),
    ...without.map((repository) => `repository ${repository} does not have ${id}`),
    ...awayLines(cluster),
  ];
  return { json: { cluster: name, [what]: id, holds, without }, text: text.join('\n') };
}

function refuseSlowClock(cluster: string, { backups, dumps }: Both): void {
  const backup = backups.flatMap((entry) => (entry.state === 'whole' ? [entry.record] : [])).at(-1);
  const dump = dumps.flatMap((entry) => (entry.state === 'whole' ? [entry.record] : [])).at(-1);
  // Where there are no backups, dumps tell the time.
  const newest = backup ?? (dump === undefined ? undefined : { stoppedAt: dump.finishedAt });
  const slow = slowClock(newest, new Date());
  if (slow === null) return;
  throw new PgproofError('clock-skew', `${slow}, so that a hold would end too early`, {
    facts: { cluster },
    hint: 'Set the clock of this host, or hold it from another one. If the server is the one that is wrong, set its clock and take a new backup.',
  });
}

async function remove(session: Session, name: string, prefix: string): Promise<Answer> {
  const { signal, requestedBy: by } = session;
  const cluster = await session.cluster(name);
  const holds = await holdsOf(cluster, signal);
  const id = chooseHold(holds, cluster, prefix);
  const found = holds.filter((hold) => hold.id === id);
  for (const { repository } of found)
    await releaseHold(named(cluster, repository), { id, cluster: name, by }, { signal });
  const text = [...found.map(({ repository }) => `released ${id} in repository ${repository}`), ...awayLines(cluster)];
  return { json: { cluster: name, released: found }, text: text.join('\n') };
}

/** The one that the prefix means, in however many repositories. */
function chooseHold(holds: readonly Listed[], cluster: ProtectedCluster, prefix: string): string {
  const fitting = [...new Set(holds.map(({ id }) => id))].filter((id) => id.startsWith(prefix));
  const [id] = fitting;
  if (id === undefined || prefix === '') throw missing(cluster, prefix);
  if (fitting.includes(prefix)) return prefix;
  if (fitting.length === 1) return id;
  throw new PgproofError('usage', `'${prefix}' begins ${fitting.length} holds of '${cluster.name}'`, {
    facts: { cluster: cluster.name, hold: prefix, fitting },
    hint: 'Give more of the id.',
  });
}

async function list(session: Session, name: string): Promise<Answer> {
  const cluster = await session.cluster(name);
  const holds = (await holdsOf(cluster, session.signal)).filter((hold) => isInForce(hold, new Date()));
  const text = [holds.length === 0 ? `nothing of ${name} is held` : render(holds), ...awayLines(cluster)];
  return { json: { cluster: name, holds }, text: text.join('\n') };
}

async function holdsOf({ repositories, name }: ProtectedCluster, signal: AbortSignal): Promise<Listed[]> {
  const listed: Listed[] = [];
  for (const repository of repositories)
    for (const hold of await listHolds(repository, name, { signal }))
      listed.push({ ...hold, repository: repository.name });
  return listed;
}

const named = ({ repositories }: ProtectedCluster, name: string): Repository =>
  repositories.find((repository) => repository.name === name) as Repository;

function render(holds: readonly Listed[]): string {
  return table(
    ['HOLD', 'REPOSITORY', 'UNTIL', 'BY', 'NEEDS', 'REASON'],
    holds.map((hold) => [hold.id, hold.repository, hold.until, hold.by, needsText(hold), hold.reason ?? '']),
  );
}

function needsText({ needs, dumps = [] }: Hold): string {
  if (needs === null) return 'everything';
  const ofEras = needs.flatMap(({ backups, wal }) => [
    ...backups,
    ...wal.map(({ from, to }) => `WAL ${from}–${to ?? ''}`),
  ]);
  return [...ofEras, ...dumps].join(', ');
}

const awayLines = ({ unavailable }: ProtectedCluster): string[] =>
  unavailable.map(({ name, error }) => `NOT ASKED: repository ${name} (${error.message})`);

function deletedEverywhere(cluster: string, what: Either['what'], id: string): PgproofError {
  return new PgproofError('backup-deleted', `${what} ${id} is being deleted in this moment`, {
    facts: { cluster, [what]: id },
    hint: `See what is left: pgproof list ${cluster}`,
  });
}

function missing({ name, repositories }: ProtectedCluster, id: string): PgproofError {
  return new PgproofError('hold-missing', `there is no hold '${id}' of cluster '${name}'`, {
    facts: { cluster: name, hold: id, repositories: repositories.map((one) => one.name) },
    hint: `See: pgproof hold list ${name}`,
  });
}
