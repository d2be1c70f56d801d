import { PgproofError } from '../core/errors.ts';
import type { FiledReport } from '../core/report.ts';
import type { DrillRequest } from '../core/request.ts';
import type { Run } from '../core/run.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { drillOutcome } from '../report/drill.ts';
import { reported } from '../report/file.ts';
import type { Workflow } from '../report/report.ts';
import { type Held, keepingHeld, letGo } from '../repository/held.ts';
import { runDrill } from './drill.ts';
import { runDumpDrill } from './dump.ts';

type Asked = Pick<DrillRequest, 'kind' | 'reason' | 'requestedBy'> & Partial<Pick<DrillRequest, 'dump' | 'database'>>;

/**
 * Runs a drill and files its report, whose id is the drill's.
 * @throws {PgproofError} what made the drill impossible, or `cancelled`; the fact `report` is the key of its report.
 */
export async function reportedDrill(
  cluster: ProtectedCluster,
  request: Asked,
  run: Run,
  workflow: Workflow | null,
): Promise<FiledReport> {
  const { kind, dump = null, database = null, reason, requestedBy } = request;
  const named = { kind, dump, database };
  refuseOthers(named);
  const order = { operation: 'drill', workflow, requestedBy, reason, mode: kind } as const;
  const drill = kind === 'dump' ? runDumpDrill : runDrill;
  const held: Held = { holds: [], notes: [] };
  try {
    return await keepingHeld(held, () =>
      reported(cluster, order, async ({ id }) => drillOutcome(await drill(cluster, named, run, id, held))),
    );
  } finally {
    await letGo(held); // not before: until the report is there, nobody knows what was proven
  }
}

/** Naming a dump and then drilling something else would prove what nobody asked for. */
function refuseOthers({ kind, dump, database }: Pick<DrillRequest, 'kind' | 'dump' | 'database'>): void {
  const isNamed = dump !== null || database !== null;
  const isOne = dump === null || database === null;
  if (!isNamed || (kind === 'dump' && isOne)) return;
  throw new PgproofError(
    'usage',
    `a drill of kind ${kind} takes ${isOne ? 'no dump and no database' : 'a dump or a database'}`,
    {
      facts: { kind, dump, database },
      hint: 'Name one of the two, and kind dump.',
    },
  );
}
