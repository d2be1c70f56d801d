import * as z from 'zod';
import { awaitWal, commit, copyBase, findCommitted, placesOf, preflight } from '../backup/backup.ts';
import { expectedBytes } from '../backup/expected.ts';
import { runIdPattern } from '../core/ids.ts';
import type { FiledReport } from '../core/report.ts';
import { clusterConfig } from '../host/cluster.ts';
import type { Host } from '../host/host.ts';
import { backupOutcome } from '../report/backup.ts';
import { finishReport } from '../report/file.ts';
import { startReport } from '../report/report.ts';
import { switchWal } from '../wal/switch.ts';
import { asked, attempt } from './attempt.ts';
import { atEdge } from './edge.ts';

/** How long one attempt waits for WAL, where the workflow is of a version that does not say. */
const waitSeconds = 60;

const askedFor = asked.extend({ id: z.string().regex(runIdPattern) });

/** The phases of a base backup. What one leaves for the next lies on the host and in the repository, never in a payload. */
export function backupSteps(host: Host) {
  return {
    /**
     * `bytes`: about how much there is to copy, null where the role may not ask. `awaitsPrimary`: the server is a standby that
     * archives, so its copy ends only once the primary has ended the segment that it ends in.
     */
    preflightBackup: atEdge(asked, (input, run) =>
      attempt(host, 'backup', input, run, async (cluster, inner) => {
        const { server } = await preflight(cluster, inner);
        const awaitsPrimary = server.inRecovery && server.settings.archive_mode === 'always';
        return { bytes: await expectedBytes(cluster, inner.signal), awaitsPrimary };
      }),
    ),
    copyBase: atEdge(asked, (input, run) =>
      attempt(host, 'backup', input, run, async (cluster, inner) => {
        const { id } = await copyBase(cluster, inner);
        return { id };
      }),
    ),
    /** For a while only, and then again: what waits shall not keep the host's slot from what could work. */
    awaitWal: atEdge(askedFor.extend({ patienceSeconds: z.number().optional() }), (input, run) =>
      attempt(
        host,
        'backup',
        input,
        run,
        async (cluster, inner) => {
          await awaitWal(cluster, input.id, inner, { patienceSeconds: input.patienceSeconds ?? waitSeconds });
        },
        ({ permanent }) => !permanent,
      ),
    ),
    /** On the primary's host, for a backup that was taken from a standby: PostgreSQL does the same where it can. */
    endSegment: atEdge(z.object({ cluster: z.string() }), async ({ cluster }, { signal }): Promise<void> => {
      await switchWal({ config: clusterConfig(host, cluster) }, { signal });
    }),
    commitBackup: atEdge(askedFor, (input, run) =>
      attempt(host, 'backup', input, run, async (cluster, inner) => {
        await commit(cluster, input.id, inner);
      }),
    ),
    /** The backup's own record says what it came to: this step may be repeated. */
    reportBackup: atEdge(askedFor.extend({ notes: z.array(z.string()).default([]) }), (input, run) =>
      attempt(host, 'backup', input, run, async (cluster, _, order): Promise<FiledReport> => {
        const record = await findCommitted(cluster, input.id);
        const started = startReport(order);
        return finishReport(
          cluster,
          started,
          backupOutcome(record, started, await placesOf(cluster, record), input.notes),
        );
      }),
    ),
  };
}
