import { abortReason } from '../core/abort.ts';
import type { ClusterConfig } from '../core/config.ts';
import { asPgproofError, PgproofError } from '../core/errors.ts';
import { ageLimits } from '../core/objectives.ts';
import type { FoundCluster } from '../postgres/cluster.ts';
import { waited } from '../storage/waited.ts';
import { Alarms } from '../wal/alarms.ts';
import { brokenBy } from './judge.ts';
import { keptWhileWell } from './kept.ts';
import { databasesThere, lookAt, writtenUntilNow } from './look.ts';

/**
 * What of a cluster breaks its objectives, as its repositories have it: the newest backup and dumps in each, the newest drill
 * that passed, the WAL. Needs no Temporal. A repository that cannot be asked is among the answers.
 * @returns each with a code, facts and a hint; empty when all is well.
 * @throws {PgproofError} the signal's reason; nothing else.
 */
export async function brokenObjectives(
  cluster: FoundCluster,
  { signal, now = new Date() }: { signal: AbortSignal; now?: Date },
): Promise<PgproofError[]> {
  const promised = ageLimits(cluster.config, now);
  const areAllDumped = promised.dumps.some(({ database }) => database === null);
  const limits = areAllDumped ? ageLimits(cluster.config, now, await databasesThere(cluster, { signal })) : promised;
  const written = await writtenUntilNow(cluster, { signal });
  const looks = await Promise.all(
    cluster.repositories.map((repository) =>
      lookAt(cluster, repository, written, { signal, now, limits }).catch((error: unknown) => {
        if (signal.aborted) throw error;
        return unasked(repository.name, asCopied(cluster, repository.name, asPgproofError(error)));
      }),
    ),
  );
  const seen = looks.flatMap((look) => (look instanceof PgproofError ? [] : [look]));
  const { config, name, unavailable } = cluster;
  return [
    ...looks.flatMap((look) => (look instanceof PgproofError ? [look] : [])),
    ...unavailable.map(({ name: repository, error }) => unasked(repository, error)),
    ...brokenBy(name, seen, limits, config.objectives.rpo, now),
  ];
}

function unasked(repository: string, error: PgproofError): PgproofError {
  const message = `repository '${repository}' cannot be asked what it holds: ${error.message}`;
  return error.retold({ message, facts: { repository } });
}

/** Eras come to a repository that is only copied to with the first copy. */
function asCopied({ name, written }: FoundCluster, repository: string, error: PgproofError): PgproofError {
  if (error.code !== 'era-undeclared' || written.some((one) => one.name === repository)) return error;
  return error.retold({ hint: `Nothing was copied there yet: pgproof copy ${name}` });
}

type Open = (options: { signal: AbortSignal }) => Promise<FoundCluster>;

export type WatchOptions = {
  signal: AbortSignal;
  /** Told of each broken objective when it breaks, and again daily while it is. */
  onAlarm(alarm: PgproofError): void;
  /** Told when it is kept again. */
  onMended(alarm: PgproofError): void;
};

const repeatAfterMs = 86_400_000;

/**
 * Compares a cluster's repositories with its objectives until the signal aborts. It is for the day when nothing else runs:
 * no Temporal, no schedules, nobody who looks.
 * @param open anew each hour, and whenever something is found: keys and repositories change.
 */
export async function runWatch(
  config: ClusterConfig,
  open: Open,
  { signal, onAlarm, onMended }: WatchOptions,
): Promise<void> {
  const alarms = new Alarms(onAlarm, repeatAfterMs);
  let lasting: PgproofError[] = [];
  const look = keptWhileWell(open, brokenObjectives);
  // Not at once: what piled up while the host was down is about to be shipped.
  while (await waited(pauseSeconds(config) * 1000, signal)) {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(longestLookSeconds * 1000)]);
    const found = await heldAgainst(look, limit);
    if (signal.aborted) return;
    const isWhole = found.every(isObjective);
    // What could not be asked is not mended.
    const unknown = isWhole ? [] : lasting.filter((old) => isObjective(old) && !found.some((one) => isSame(one, old)));
    const now = [...found, ...unknown];
    for (const old of lasting) if (!now.some((one) => isSame(one, old))) onMended(old);
    alarms.raise(now);
    lasting = now;
  }
}

const longestPauseSeconds = 600;
const longestLookSeconds = 300;

/** As long as the shortest of the objectives, so that none is broken for long before somebody is told. */
function pauseSeconds(config: ClusterConfig): number {
  const { backup, dumps, proof } = ageLimits(config, new Date());
  const ages = [backup, ...dumps.map(({ limit }) => limit), proof].flatMap((limit) =>
    limit === null ? [] : [limit.seconds],
  );
  return Math.max(1, Math.min(longestPauseSeconds, config.objectives.rpo, ...ages));
}

type Look = (options: { signal: AbortSignal }) => Promise<PgproofError[]>;

async function heldAgainst(look: Look, signal: AbortSignal): Promise<PgproofError[]> {
  try {
    return await look({ signal });
  } catch (thrown) {
    const error = asPgproofError(signal.aborted ? abortReason(signal) : thrown);
    return [error.retold({ message: `the objectives cannot be held against anything: ${error.message}` })];
  }
}

const isObjective = ({ code }: PgproofError): boolean => code === 'objective-broken';

const isSame = (one: PgproofError, other: PgproofError): boolean =>
  one.code === other.code &&
  one.facts.objective === other.facts.objective &&
  one.facts.database === other.facts.database &&
  one.facts.repository === other.facts.repository;
