import type { ErrorCode, PgproofError } from '../core/errors.ts';

type Advice = (cluster: string) => string;

const newBackup: Advice = (name) =>
  `This backup cannot be restored as it is. Take a new one now: pgproof backup ${name}. Then find out what damages the repository.`;
const walBroken: Advice = (name) =>
  `The WAL that the restore needs is not whole: pgproof wal status ${name}. A new backup starts an unbroken stretch: pgproof backup ${name}`;
const lookAtLog: Advice = () => "PostgreSQL's last words stand in the report, under result.error.facts.log.";
const again: Advice = (name) => `Drill again when it answers: pgproof drill ${name}`;

/** What a restore advises is about restores; a drill throws its folder away, and is about what the next restore will meet. */
const advice: Partial<Record<ErrorCode, Advice>> = {
  'object-missing': newBackup,
  'object-damaged': newBackup,
  'record-invalid': newBackup,
  'signature-invalid': newBackup,
  'manifest-invalid': newBackup,
  'tar-invalid': newBackup,
  'restore-unverified': newBackup,
  'target-unreachable': walBroken,
  'wal-unreadable': walBroken,
  'recovery-failed': lookAtLog,
  'recovery-unreached': lookAtLog,
  'store-unreachable': again,
  'server-unreachable': again,
  'tablespace-outside': (name) =>
    `A backup that holds the tablespace makes drills possible again: pgproof backup ${name}`,
  'no-space': () =>
    'A drill restores the whole cluster below the state folder (hosts.<name>.state): free some space there.',
};

/** The same error, with a hint that fits a drill. */
export function inDrill(error: PgproofError, cluster: string): PgproofError {
  return error.retold({ hint: advice[error.code]?.(cluster) ?? error.hint });
}
