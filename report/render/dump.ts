import { formatBytes, formatSeconds } from '../../core/format.ts';
import { dumpResult, type Report } from '../../core/report.ts';
import { fields } from './text.ts';

export function renderDump({ result }: Report): string {
  const parsed = dumpResult.safeParse(result);
  if (!parsed.success) return ''; // a failed one: the error above is all there is
  const { data } = parsed;
  return fields([
    ['dump', `${data.id} (${data.tier}, ${data.format}, ${data.compression})`],
    ['of', data.database ?? (data.kind === 'globals' ? 'the globals' : 'the whole server')],
    ['size', `${formatBytes(data.sizeBytes)}, stored ${formatBytes(data.storedBytes)}`],
    ['time', `${formatSeconds(data.durationSeconds)}; what was committed before ${data.startedAt} is in it`],
    ['is in', data.repositories.join(', ')],
    ...data.dropped.map(({ repository, code, message }): [string, string] => [
      'NOT IN',
      `${repository}: ${message} [${code}]; \`pgproof copy\` brings it there`,
    ]),
    ['protection', data.cipher === 'none' ? 'NOT ENCRYPTED, NOT AUTHENTICATED' : `${data.cipher}, signed`],
    ...data.exported.map((file): [string, string] => ['file', file]),
    ...data.findings.map((finding): [string, string] => ['LOOK AT', finding]),
    ...data.notes.map((note): [string, string] => ['note', note]),
  ]);
}
