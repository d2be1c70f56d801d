import { isCancellation } from '@temporalio/workflow';
import type { Resolved } from '../activities/control.ts';
import type { FiledReport } from '../core/report.ts';
import { backupRequest } from '../core/request.ts';
import { untilFree } from './busy.ts';
import { failureOf } from './failure.ts';
import { toPlace } from './greet.ts';
import { bulkOn, onceOn, patientOn, quickOn } from './steps.ts';
import { askedOf, mark, type Notes, story, tellState } from './story.ts';

/** Takes a base backup. Input: `{"cluster": "shop"}`. */
export function backup(input: unknown): Promise<FiledReport & Notes> {
  return story('backup', backupRequest, input, async (request, at, notes) => {
    const asked = askedOf(request);

    tellState(`checking ${at.cluster} on ${at.host}`);
    const { bytes } = await quickOn(at, 'is the cluster fit for it').preflightBackup(asked); // refuses an era that was not declared

    tellState(`copying ${at.cluster} on ${at.host}`);
    // Start, copy, stop: one step, because it is one database session.
    const { id } = await untilFree(at, request, () => bulkOn(at, `copy ${at.cluster}`, bytes).copyBase(asked));
    mark({ PgBackupId: id });

    tellState(`${id} is copied; waiting for its WAL to be in the repository`);
    const later = await endSegment(at);
    await patientOn(at, 'wait for its WAL').awaitWal({ ...asked, id }); // without it the backup cannot become consistent

    await quickOn(at, 'commit').commitBackup({ ...asked, id }); // until now the backup does not exist
    const filed = await quickOn(at, 'report').reportBackup({ ...asked, id, notes: [...notes, ...later] });
    tellState(`${id} is whole; report: ${filed.key}`);
    return filed;
  });
}

/** A standby cannot end the segment that its backup ends in. Where its primary's host does not, archive_timeout does. */
async function endSegment(at: Resolved): Promise<string[]> {
  const { primary = null } = at;
  if (primary === null || primary.host === at.host) return [];
  try {
    await onceOn(toPlace(at, primary), `end the segment on ${primary.host}`).endSegment({ cluster: at.cluster });
    return [];
  } catch (error) {
    if (isCancellation(error)) throw error;
    return [`its last WAL segment was not ended on ${primary.host}: ${failureOf(error, at).message}`];
  }
}
