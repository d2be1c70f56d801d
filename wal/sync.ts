import { hasCode, PgproofError } from '../core/errors.ts';
import { formatSeconds } from '../core/format.ts';
import { formatLsn, lsnPosition } from '../core/lsn.ts';
import type { Run } from '../core/run.ts';
import type { SyncedRepository, WalSyncResult } from '../core/wal-sync.ts';
import { inRepository, type ProtectedCluster } from '../postgres/cluster.ts';
import { inspectServer, type ServerFacts } from '../postgres/server.ts';
import { awaitArchived, type WalRange } from './await.ts';
import { shippingMeanwhile } from './await-shipping.ts';
import { type Written, writtenBy } from './behind.ts';
import type { Frontier } from './frontier.ts';
import { switchWal } from './switch.ts';
import { type Look, lookAt, lookEverywhere, opened, reaches } from './sync-look.ts';

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
  const deadline = new Date(Date.now() + (options.patienceSeconds ?? patienceSeconds) * 1000);
  run.progress({ phase: 'look' });
  const server = await askPrimary(cluster, signal);
  const now = serverClock(server);
  const { all, finished } = writtenBy(server);
  const before = await lookEverywhere(cluster, all, now(), signal);
  const lookAgain = ({ name }: Look, written: Written, asked: AbortSignal): Promise<Look> =>
    lookAt(cluster, name, written, now(), asked);
  /** Each is judged when its own WAL has come, or has not: how long another one keeps us waiting says nothing about it. */
  const bring = async (looks: readonly Look[], target: Written, written: Written): Promise<Brought> => {
    const late = new Map<string, PgproofError>();
    const isAwaited = (look: Look): boolean => look.required && !reaches(look, target);
    if (!looks.some(isAwaited)) return { looks, late };
    const bringOne = async (look: Look, waiting: Run): Promise<Look> => {
      if (!isAwaited(look)) return look;
      const why = await awaitIn(cluster, look, target, waiting, deadline);
      if (why !== null) late.set(look.name, why);
      return lookAgain(look, written, waiting.signal);
    };
    const brought = await shippingMeanwhile(cluster, run, (waiting) =>
      Promise.all(looks.map((look) => bringOne(look, waiting))),
    );
    const after = brought.map((look) => (look.required ? look : lookAgain(look, written, signal)));
    return { looks: await Promise.all(after), late };
  };

  const shipped = await bring(before, finished, all);
  const isDue = all.lsn !== finished.lsn && isSwitchDue(shipped.looks, finished, rpo);
  const switched = isDue ? await switchWal(cluster, { signal }) : null;
  const target = switched === null ? finished : { ...finished, lsn: switched.lsn };
  const { looks: after, late } = switched === null ? shipped : await bring(shipped.looks, target, target);
  const repositories = after.map((look, index): SyncedRepository => {
    const reached = reaches(look, target);
    const why = look.error ?? (reached ? null : (late.get(look.name) ?? null));
    return {
      repository: look.name,
      required: look.required,
      frontier: look.frontier?.lsn ?? null,
      reached,
      behindSeconds: { before: before[index]?.seconds ?? null, after: look.seconds },
      problem: why === null ? null : said(why),
    };
  });
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

type Brought = { looks: readonly Look[]; late: ReadonlyMap<string, PgproofError> };

/** While finished segments are under way, another one would only be one more of them. */
function isSwitchDue(looks: readonly Look[], finished: Written, rpoSeconds: number): boolean {
  const required = looks.filter((look) => look.required);
  const isIdle = required.every((look) => reaches(look, finished));
  return isIdle && required.some(({ seconds }) => seconds === null || seconds > rpoSeconds / 2);
}

/** @returns why WAL did not come; null when it did. */
async function awaitIn(
  cluster: ProtectedCluster,
  { name, frontier }: Look,
  target: Written,
  run: Run,
  deadline: Date,
): Promise<PgproofError | null> {
  const range = missingRange(frontier as Frontier, target);
  try {
    await awaitArchived(inRepository(cluster, opened(cluster, name)), range, run, deadline);
    return null;
  } catch (error) {
    if (!hasCode(error, 'segment-not-archived', 'wal-conflict')) throw error;
    return error;
  }
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
