import * as z from 'zod';
import { awaitWal, commit, copyBase, findCommitted, placesOf, preflight } from '../backup/backup.ts';
import { expectedBytes } from '../backup/expected.ts';
import { runIdPattern } from '../core/ids.ts';
import type { FiledReport } from '../core/report.ts';
import type { Host } from '../host/host.ts';
import { backupOutcome } from '../report/backup.ts';
import { finishReport } from '../report/file.ts';
import { startReport } from '../report/report.ts';
import { asked, attempt } from './attempt.ts';
import { atEdge } from './edge.ts';

const askedFor = asked.extend({ id: z.string().regex(runIdPattern) });

/** The phases of a base backup. What one leaves for the next lies on the host and in the repository, never in a payload. */
export function backupSteps(host: Host) {
  return {
    /** About how much there is to copy, null where the role may not ask. */
    preflightBackup: atEdge(asked, (input, run) =>
      attempt(host, 'backup', input, run, async (cluster, inner) => {
        await preflight(cluster, inner);
        return { bytes: await expectedBytes(cluster, inner.signal) };
      }),
    ),
    copyBase: atEdge(asked, (input, run) =>
      attempt(host, 'backup', input, run, async (cluster, inner) => {
        const { id } = await copyBase(cluster, inner);
        return { id };
      }),
    ),
    awaitWal: atEdge(askedFor, (input, run) =>
      attempt(host, 'backup', input, run, async (cluster, inner) => {
        await awaitWal(cluster, input.id, inner);
      }),
    ),
    commitBackup: atEdge(askedFor, (input, run) =>
      attempt(host, 'backup', input, run, async (cluster, inner) => {
        await commit(cluster, input.id, inner);
      }),
    ),
    /** The backup's own record says what it came to: this step may be repeated. */
    reportBackup: atEdge(askedFor, (input, run) =>
      attempt(host, 'backup', input, run, async (cluster, _, order): Promise<FiledReport> => {
        const record = await findCommitted(cluster, input.id);
        const started = startReport(order);
        return finishReport(cluster, started, backupOutcome(record, started, await placesOf(cluster, record)));
      }),
    ),
  };
}
