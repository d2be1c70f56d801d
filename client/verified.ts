import { type Affected, type Finding, percentRead } from '../core/verified.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { earlierVerifies } from '../verify/earlier.ts';

/** What the newest verify of a repository found, for `list`. Null: no report at hand tells of one. */
export type Verified = {
  repository: string;
  verify: {
    at: string;
    verdict: 'passed' | 'failed' | 'inconclusive';
    percentOfBytes: number;
    /** What is damaged, missing or in conflict, and was not repaired. */
    damage: Finding[];
  } | null;
};

const mostNamed = 5;

/** Of each repository that answers, in their order. */
export async function newestVerifies(cluster: ProtectedCluster, signal: AbortSignal): Promise<Verified[]> {
  const newest = await earlierVerifies(cluster, { signal });
  return cluster.repositories.map(({ id, name }) => {
    const [found] = newest.get(id) ?? [];
    if (found === undefined) return { repository: name, verify: null };
    const { finishedAt: at, repository } = found;
    const damage = repository.findings.filter(
      ({ kind, repair }) => kind !== 'foreign' && repair?.outcome !== 'repaired',
    );
    return {
      repository: name,
      verify: { at, verdict: repository.verdict, percentOfBytes: percentRead(repository), damage },
    };
  });
}

/** What is wrong with one backup or dump, and where. */
export function damageOf(id: string, verified: readonly Verified[]) {
  return verified.flatMap(({ repository, verify }) =>
    (verify?.damage ?? [])
      .filter(({ affects: { backups, dumps, globals } }) => [...backups, ...dumps, ...globals].includes(id))
      .map(({ object, kind, why }) => ({ repository, object, kind, why })),
  );
}

/** A line a repository, what is wrong there, and a line for each stretch of time that is lost. */
export function verifiedLines(verified: readonly Verified[]): string[] {
  return verified.flatMap(({ repository, verify }) => {
    if (verify === null) return [`  ${repository}: no verify is known`];
    const { at, verdict, percentOfBytes, damage } = verify;
    const lost = new Set(damage.flatMap(({ affects }) => lostLine(affects)));
    const named = damage.slice(0, mostNamed).map(({ kind, object }) => `    ${kind} ${object}`);
    if (damage.length > mostNamed) named.push(`    and ${damage.length - mostNamed} more`);
    return [`  ${repository}: verified ${at}, ${percentOfBytes} % of bytes: ${verdict}`, ...named, ...lost];
  });
}

function lostLine({ from, to }: Affected): string[] {
  if (from === null) return [];
  const until = to === null ? 'until there is another backup' : `before ${to.at ?? to.lsn}`;
  return [`    CANNOT BE RESTORED from here: behind ${from.at ?? from.lsn}, ${until}`];
}
