import { asPgproofError, hasCode, PgproofError } from '../core/errors.ts';
import { formatSeconds } from '../core/format.ts';
import { formatLsn, lsnPosition } from '../core/lsn.ts';
import type { Run } from '../core/run.ts';
import type { SyncedRepository, WalSyncResult } from '../core/wal-sync.ts';
import { isRequired, writtenNames } from '../core/written.ts';
import { inRepository, type ProtectedCluster } from '../postgres/cluster.ts';
import { inspectServer, type ServerFacts } from '../postgres/server.ts';
import type { Repository } from '../repository/repository.ts';
import { awaitArchived, type WalRange } from './await.ts';
import { shippingMeanwhile } from './await-shipping.ts';
import { hasReached, secondsBehind, type Written, writtenBy } from './behind.ts';
import type { Frontier } from './frontier.ts';
import { readHead } from './head.ts';
import { switchWal } from './switch.ts';

/** A finished segment is in the repository within seconds. Whoever waits longer than this waits for the next run. */
const patienceSeconds = 120;

/**
 * Makes sure that the WAL written until now is in each required repository, and says how much work would be lost with the host.
 * The open segment is ended only where the objective asks for it: when all the finished ones are there, and the newest commit
 * that is there is older than half of the objective, or nobody knows how old it is.
 * @returns an answer also when the objective is broken.
 * @throws {PgproofError} `server-unreachable`, `server-in-recovery`; why a required repository cannot be asked; the signal's reason.
 */
export async function syncWal(
  cluster: ProtectedCluster,
  run: Run,
  options: { patienceSeconds?: number } = {},
): Promise<WalSyncResult> {
  const { signal } = run;
  const { rpo } = cluster.config.objectives;
  run.progress({ phase: 'look' });
  const server = await askPrimary(cluster, signal);
  const now = serverClock(server);
  const written = writtenBy(server);
  const before = await lookEverywhere(cluster, written.all, now(), signal);
  const isDue = written.all.lsn !== written.finished.lsn && isSwitchDue(before, written.finished, rpo);
  const switched = isDue ? await switchWal(cluster, { signal }) : null;
  const target = switched === null ? written.finished : { ...written.finished, lsn: switched.lsn };

  const deadline = new Date(Date.now() + (options.patienceSeconds ?? patienceSeconds) * 1000);
  const late = await awaitRequired(cluster, before, target, run, deadline);
  const after = await lookEverywhere(cluster, switched === null ? written.all : target, now(), signal);
  const repositories = await Promise.all(
    after.map(async (look, index): Promise<SyncedRepository> => {
      const reached = look.frontier !== null && hasReached(look.frontier, target);
      const why = look.error ?? (reached ? null : (late.get(look.name) ?? null));
      return {
        repository: look.name,
        required: look.required,
        frontier: look.frontier?.lsn ?? null,
        reached,
        behindSeconds: { before: before[index]?.seconds ?? null, after: look.seconds },
        problem: why === null ? null : said(why),
      };
    }),
  );
  return {
    objective: repositories.some((one) => isBroken(one, rpo)) ? 'broken' : 'kept',
    target,
    switched: switched?.segment ?? null,
    repositories,
    objectives: { rpoSeconds: rpo },
    notes: notesOf(repositories, server, rpo),
  };
}

/** Also where nobody knows how much would be lost, and the WAL did not come in time: silence would be worse. */
export function isBroken(
  { required, reached, behindSeconds: { after } }: SyncedRepository,
  rpoSeconds: number,
): boolean {
  return required && (after === null ? !reached : after > rpoSeconds);
}

async function askPrimary({ config }: ProtectedCluster, signal: AbortSignal): Promise<ServerFacts> {
  const server = await inspectServer(config.connection, { signal, applicationName: 'pgproof wal sync' });
  if (!server.inRecovery) return server;
  throw new PgproofError('server-in-recovery', 'the configured server is in recovery: it writes no WAL of its own', {
    hint: 'Run this on the host of the primary, or name the primary in clusters.<name>.connection.',
  });
}

/** The server's clock, from what it said once: hosts' clocks differ. */
function serverClock({ clock }: ServerFacts): () => string {
  const asked = performance.now();
  return () => new Date(Date.parse(clock) + performance.now() - asked).toISOString();
}

type Look = {
  name: string;
  required: boolean;
  frontier: Frontier | null;
  seconds: number | null;
  /** Why it could not be asked; of one that is not required. */
  error: PgproofError | null;
};

function lookEverywhere(
  cluster: ProtectedCluster,
  written: Written,
  now: string,
  signal: AbortSignal,
): Promise<Look[]> {
  return Promise.all(
    writtenNames(cluster.config).map(async (name): Promise<Look> => {
      const required = isRequired(cluster.config, name);
      try {
        const { frontier } = await readHead(inRepository(cluster, opened(cluster, name)), { signal });
        const seconds = await secondsBehind(cluster, frontier, written, now);
        return { name, required, frontier, seconds, error: null };
      } catch (error) {
        if (required || signal.aborted) throw error;
        return { name, required, frontier: null, seconds: null, error: asPgproofError(error) };
      }
    }),
  );
}

function opened({ repositories, unavailable }: ProtectedCluster, name: string): Repository {
  const found = repositories.find((repository) => repository.name === name);
  if (found !== undefined) return found;
  throw unavailable.find((repository) => repository.name === name)?.error;
}

/** While finished segments are under way, another one would only be one more of them. */
function isSwitchDue(looks: readonly Look[], finished: Written, rpoSeconds: number): boolean {
  const required = looks.filter((look) => look.required);
  const isIdle = required.every(({ frontier }) => frontier !== null && hasReached(frontier, finished));
  return isIdle && required.some(({ seconds }) => seconds === null || seconds > rpoSeconds / 2);
}

/** @returns why WAL did not come, by the repository's name. */
async function awaitRequired(
  cluster: ProtectedCluster,
  looks: readonly Look[],
  target: Written,
  run: Run,
  deadline: Date,
): Promise<Map<string, PgproofError>> {
  const late = new Map<string, PgproofError>();
  const awaitIn = async (name: string, range: WalRange, waiting: Run): Promise<void> => {
    try {
      await awaitArchived(inRepository(cluster, opened(cluster, name)), range, waiting, deadline);
    } catch (error) {
      if (!hasCode(error, 'segment-not-archived', 'wal-conflict')) throw error;
      late.set(name, error);
    }
  };
  const ranges = looks.flatMap(({ name, required, frontier }) =>
    required && frontier !== null && !hasReached(frontier, target)
      ? [{ name, range: missingRange(frontier, target) }]
      : [],
  );
  if (ranges.length > 0) {
    await shippingMeanwhile(cluster, run, (waiting) =>
      Promise.all(ranges.map(({ name, range }) => awaitIn(name, range, waiting))),
    );
  }
  return late;
}

/** Until a new timeline is adopted, only the last segment can be waited for; the frontier has the last word. */
function missingRange(frontier: Frontier, { timeline, lsn: end }: Written): WalRange {
  const start = frontier.timeline === timeline ? frontier.lsn : formatLsn(lsnPosition(end) - 1n);
  return { timeline, start, end };
}

const said = ({ code, message, hint }: PgproofError) => ({ code, message, hint });

function notesOf(repositories: readonly SyncedRepository[], { settings }: ServerFacts, rpoSeconds: number): string[] {
  return repositories.flatMap(({ repository, required, reached, behindSeconds: { before, after } }) => {
    const isMended = before !== null && before > rpoSeconds && after !== null && after <= rpoSeconds;
    const timeout = Number(settings.archive_timeout ?? 0);
    return [
      ...(isMended
        ? [
            `when this run began, ${formatSeconds(before)} of work would have been lost with the host (repository '${repository}'), more than the objective of ${formatSeconds(rpoSeconds)}; archive_timeout is ${timeout === 0 ? 'off' : `${timeout} s`}`,
          ]
        : []),
      ...(required && after === null && reached
        ? [
            `no heartbeat tells how much work repository '${repository}' lacks: is the worker running, and the heartbeat installed?`,
          ]
        : []),
      ...(reached
        ? []
        : [`repository '${repository}'${required ? '' : ', which is not required,'} has not all the WAL yet`]),
    ];
  });
}
