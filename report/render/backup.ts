import { formatBytes, formatSeconds } from '../../core/format.ts';
import { backupResult, type Report } from '../../core/report.ts';
import { fields } from './text.ts';

export function renderBackup({ result }: Report): string {
  const parsed = backupResult.safeParse(result);
  if (!parsed.success) return ''; // a failed one: the error above is all there is
  const { data } = parsed;
  const share = data.sizeBytes === 0 ? '' : `, ${Math.round((100 * data.storedBytes) / data.sizeBytes)} % of it`;

  const several = data.repositories.length > 1 || data.dropped.length > 0;
  return fields([
    ['backup', `${data.id} (${data.type})`],
    ['server', `PostgreSQL ${data.serverVersion}, era ${data.era}, timeline ${data.timeline}`],
    ['size', `${formatBytes(data.sizeBytes)}, stored ${formatBytes(data.storedBytes)}${share}`],
    ['time', formatSeconds(data.durationSeconds)],
    ['WAL', `${data.startLsn} to ${data.stopLsn}: all of it is in the repository`],
    ...(several ? [['is in', data.repositories.join(', ')] as [string, string]] : []),
    ...data.dropped.map(({ repository, code, message }): [string, string] => [
      'NOT IN',
      `${repository}: ${message} [${code}]; \`pgproof copy\` brings it there`,
    ]),
    ['restorable', `from ${data.stoppedAt} on`],
    ['verified', `${data.verifiedFiles} files against backup_manifest while they were copied`],
    ['protection', data.cipher === 'none' ? 'NOT ENCRYPTED, NOT AUTHENTICATED' : `${data.cipher}, signed`],
    ...data.notes.map((note): [string, string] => ['note', note]),
  ]);
}
