import type { ErrorCode, PgproofError } from '../core/errors.ts';
import type { DrillCheckResult, DrillResult } from '../core/report.ts';

type Verdict = Pick<DrillResult, 'verdict' | 'verdictReason'>;

/**
 * Errors by which the proof says no: the repository does not hold what a restore needs, or what it holds does not become
 * the cluster. After every other error the drill proved nothing either way.
 */
const provesNo: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'object-missing',
  'object-damaged',
  'record-invalid',
  'signature-invalid',
  'manifest-invalid',
  'tar-invalid',
  'wal-conflict',
  'wal-unreadable',
  'target-unreachable',
  'timeline-not-adopted',
  'recovery-failed',
  'recovery-unreached',
  'restore-unverified',
  'dump-restore-failed',
]);

/**
 * `passed` only when every named check ran and held: one that could not run is never counted as passed, and no check at all
 * proves nothing. A check that says no, or an error that does, is `failed` whatever else could not run.
 * @param error what ended the drill early; null when it went through.
 */
export function verdictOf(checks: readonly DrillCheckResult[], error: PgproofError | null): Verdict {
  if (error !== null)
    return { verdict: isProofOfNo(error) ? 'failed' : 'inconclusive', verdictReason: reasonOf(error) };
  const failed = checks.filter(({ passed }) => passed === false);
  if (failed.length > 0) return { verdict: 'failed', verdictReason: saying(failed) };
  const notRun = checks.filter(({ passed }) => passed === null);
  if (notRun.length > 0) return { verdict: 'inconclusive', verdictReason: `could not run: ${saying(notRun)}` };
  if (checks.length === 0) return { verdict: 'inconclusive', verdictReason: 'no check was made' };
  return { verdict: 'passed', verdictReason: null };
}

/** A recovery may fail because its store was away or its disk was full: then the cause decides. */
function isProofOfNo(error: PgproofError): boolean {
  return provesNo.has(error.code) && !causesOf(error).some(isInfrastructure);
}

function causesOf(error: Error): PgproofError[] {
  const { cause } = error;
  if (!(cause instanceof Error)) return [];
  return [...('code' in cause && 'permanent' in cause ? [cause as PgproofError] : []), ...causesOf(cause)];
}

const isInfrastructure = ({ code, permanent }: PgproofError): boolean =>
  !permanent || code === 'cancelled' || code === 'store-denied';

const reasonOf = ({ code, message }: PgproofError): string => `${message} [${code}]`;

const saying = (checks: readonly DrillCheckResult[]): string =>
  checks.map(({ name, detail }) => `${name}: ${detail}`).join('; ');
