import { type Facts, PgproofError } from '../core/errors.ts';
import { formatSeconds } from '../core/format.ts';
import type { AgeLimit, AgeLimits, DumpLimit } from '../core/objectives.ts';

/** Something that was made, and when: ISO-8601 UTC. */
export type Dated = { id: string; at: string };

/** What one repository has of the current era. */
export type Seen = {
  repository: string;
  /** Backups and WAL are written to it; to others, `copy` brings them. */
  written: boolean;
  /** WAL stays on the host until it is there; of what others lack, the shipper tells. */
  required: boolean;
  /** When the era was declared: what there is none of is as old. */
  since: string;
  backup: Dated | null;
  /** The newest of each of `AgeLimits.dumps`, in their order. */
  dumps: readonly (Dated | null)[];
  /** The newest drill that passed; wherever its report was found. */
  proof: Dated | null;
  /** Seconds of work that would be lost with this host; null where no heartbeat tells, or another host is the primary's. */
  behindSeconds: number | null;
};

/** A heartbeat, the end of a segment and its shipping come one after the other: an objective that is just kept is no alarm. */
const walGraceSeconds = 60;

/**
 * What is older than the objectives allow. The messages stay the same for as long as the same thing is wrong; how bad it is
 * stands in the facts.
 */
export function brokenBy(
  cluster: string,
  seen: readonly Seen[],
  limits: AgeLimits,
  rpoSeconds: number,
  now: Date,
): PgproofError[] {
  const judge = (objective: string, limit: AgeLimit | null, made: Made): PgproofError[] => {
    const seconds = (now.getTime() - Date.parse(made.newest?.at ?? made.since)) / 1000;
    if (limit === null || seconds <= limit.seconds) return [];
    const what = made.newest === null ? `${made.none} since ${made.since}` : `${made.some} ${made.newest.at}`;
    const message = `${what}: older than ${formatSeconds(limit.seconds)} is an alarm (${limit.said})`;
    const facts = { cluster, objective, repository: made.repository, newest: made.newest?.id ?? null, ...made.facts };
    return [
      new PgproofError('objective-broken', message, {
        facts: { ...facts, seconds: Math.round(seconds), limitSeconds: limit.seconds },
        hint: made.hint,
      }),
    ];
  };
  const judgeDump = ({ repository, written, since }: Seen, of: DumpLimit, newest: Dated | null): PgproofError[] => {
    const dump = of.database === null ? 'dump' : `dump of database '${of.database}'`;
    return judge('dump', written ? of.limit : (of.copies[repository] ?? null), {
      repository,
      since,
      newest,
      none: `there is no ${dump} in repository '${repository}', and the era is there`,
      some: `the newest ${dump} in repository '${repository}' is of`,
      hint: written ? dumpHint(cluster) : copyHint(cluster, repository),
      facts: { database: of.database },
    });
  };
  /** Where all of them are old, that is one alarm; a database that only the server names counts once it was dumped. */
  const judgeDumps = (one: Seen): PgproofError[] => {
    const judged = limits.dumps.map((limit, index) => {
      const newest = one.dumps[index] ?? null;
      return { limit, newest, alarms: judgeDump(one, limit, newest) };
    });
    const areAllOld = judged.some(({ limit, alarms }) => limit.database === null && alarms.length > 0);
    const counts = judged.filter(({ limit, newest }) => limit.isNamed || (newest !== null && !areAllOld));
    return counts.flatMap(({ alarms }) => alarms);
  };
  const proof = newestOf(seen.flatMap((one) => (one.proof === null ? [] : [one.proof])));
  const since = seen.map((one) => one.since).sort()[0];
  return [
    ...seen.flatMap(judgeDumps),
    ...seen.flatMap(({ repository, written, ...made }) =>
      judge('backup', written ? limits.backup : (limits.copies[repository] ?? null), {
        repository,
        since: made.since,
        newest: made.backup,
        none: `there is no backup in repository '${repository}', and the era is there`,
        some: `the newest backup in repository '${repository}' is of`,
        hint: written ? backupHint(cluster) : copyHint(cluster, repository),
      }),
    ),
    ...(since === undefined
      ? []
      : judge('proof', limits.proof, {
          repository: null,
          since,
          newest: proof,
          none: 'no drill has passed, and the era is there',
          some: 'the newest drill that passed ended at',
          hint: `Look at how drills end: pgproof drill ${cluster}. They may have been lost with Temporal: pgproof schedules apply`,
        })),
    ...seen.flatMap((one) => walBroken(cluster, one, rpoSeconds)),
  ];
}

type Made = {
  repository: string | null;
  since: string;
  newest: Dated | null;
  none: string;
  some: string;
  hint: string;
  facts?: Facts;
};

const backupHint = (cluster: string): string =>
  `Take one: pgproof backup ${cluster}, without Temporal with --offline. Schedules may have been lost with Temporal: pgproof schedules apply`;

const dumpHint = (cluster: string): string =>
  `Take one: pgproof dump ${cluster}, without Temporal with --offline. Schedules may have been lost with Temporal: pgproof schedules apply`;

const copyHint = (cluster: string, repository: string): string =>
  `Bring it there: pgproof copy ${cluster} --to ${repository}`;

function walBroken(cluster: string, { repository, required, behindSeconds }: Seen, rpoSeconds: number): PgproofError[] {
  if (!required || behindSeconds === null || behindSeconds <= rpoSeconds + walGraceSeconds) return [];
  const facts = { cluster, objective: 'rpo', repository, seconds: Math.round(behindSeconds), limitSeconds: rpoSeconds };
  return [
    new PgproofError(
      'objective-broken',
      `WAL does not reach repository '${repository}' in time: more work would be lost with the host than the ${formatSeconds(rpoSeconds)} of objectives.rpo`,
      { facts, hint: `Where it stands: pgproof wal status ${cluster}. What keeps it: pgproof check ${cluster}` },
    ),
  ];
}

const newestOf = (all: readonly Dated[]): Dated | null => all.toSorted((a, b) => (a.at < b.at ? 1 : -1))[0] ?? null;
