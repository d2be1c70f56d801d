import type { FiledReport } from '../core/report.ts';
import { backupRequest } from '../core/request.ts';
import { untilFree } from './busy.ts';
import { endingSegments, endSegment } from './segments.ts';
import { bulkOn, patientOn, quickOn } from './steps.ts';
import { askedOf, mark, type Notes, story, tellState } from './story.ts';

/** Takes a base backup. Input: `{"cluster": "shop"}`. */
export function backup(input: unknown): Promise<FiledReport & Notes> {
  return story('backup', backupRequest, input, async (request, at, notes) => {
    const asked = askedOf(request);

    tellState(`checking ${at.cluster} on ${at.host}`);
    const { bytes, awaitsPrimary } = await quickOn(at, 'is the cluster fit for it').preflightBackup(asked); // refuses an era that was not declared

    tellState(`copying ${at.cluster} on ${at.host}`);
    // Start, copy, stop: one step, because it is one database session.
    const copying = untilFree(at, request, () => bulkOn(at, `copy ${at.cluster}`, bytes).copyBase(asked));
    const { id } = await (awaitsPrimary ? endingSegments(at, copying) : copying);
    mark({ PgBackupId: id });

    tellState(`${id} is copied; waiting for its WAL to be in the repository`);
    const later = await endSegment(at);
    const patienceSeconds = 4 * at.timeouts.bulk.busy.firstRetry;
    await patientOn(at, 'wait for its WAL').awaitWal({ ...asked, id, patienceSeconds }); // without it the backup cannot become consistent

    await quickOn(at, 'commit').commitBackup({ ...asked, id }); // until now the backup does not exist
    const filed = await quickOn(at, 'report').reportBackup({ ...asked, id, notes: [...notes, ...later] });
    tellState(`${id} is whole; report: ${filed.key}`);
    return filed;
  });
}
