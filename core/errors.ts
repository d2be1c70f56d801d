/**
 * Every code an error of ours can carry. Permanence belongs to the code, not to the throw: a permanent error is one that
 * waiting does not mend, so nothing retries it. `exit` is the process's answer: 1 failed, 2 wrong use or configuration with
 * nothing touched, 3 the answer is no.
 */
export const errorKinds = {
  usage: { permanent: true, exit: 2 },
  'config-missing': { permanent: true, exit: 2 },
  'config-invalid': { permanent: true, exit: 2 },
  'config-exists': { permanent: true, exit: 2 },
  'cluster-unknown': { permanent: true, exit: 2 },
  'cluster-elsewhere': { permanent: true, exit: 2 },
  'host-unknown': { permanent: true, exit: 2 },
  'host-twice': { permanent: true, exit: 3 },
  'state-unusable': { permanent: true, exit: 2 },
  'file-unwritable': { permanent: true, exit: 2 },
  'repository-unknown': { permanent: true, exit: 2 },
  'name-invalid': { permanent: true, exit: 2 },
  'lsn-invalid': { permanent: true, exit: 2 },
  'segment-invalid': { permanent: true, exit: 2 },
  'target-invalid': { permanent: true, exit: 2 },
  'password-missing': { permanent: true, exit: 2 },
  'password-plain': { permanent: true, exit: 2 },
  'password-open': { permanent: true, exit: 2 },
  'tool-missing': { permanent: true, exit: 2 },
  'root-refused': { permanent: true, exit: 2 },
  'port-in-use': { permanent: true, exit: 2 },
  'install-refused': { permanent: true, exit: 2 },
  'service-in-use': { permanent: true, exit: 2 },

  'key-file-missing': { permanent: true, exit: 2 },
  'key-file-open': { permanent: true, exit: 2 },
  'key-file-invalid': { permanent: true, exit: 2 },
  'key-file-exists': { permanent: true, exit: 2 },
  'key-file-busy': { permanent: false, exit: 1 },
  'key-missing': { permanent: true, exit: 2 },
  'key-wrong': { permanent: true, exit: 2 },
  'key-write-only': { permanent: true, exit: 2 },
  'passphrase-wrong': { permanent: true, exit: 2 },
  'passphrase-missing': { permanent: true, exit: 2 },
  'file-refused': { permanent: true, exit: 2 },
  'file-unknown': { permanent: true, exit: 2 },

  'object-missing': { permanent: true, exit: 1 },
  'object-exists': { permanent: true, exit: 1 },
  'object-damaged': { permanent: true, exit: 3 },
  'object-retained': { permanent: true, exit: 1 },
  'object-key-invalid': { permanent: true, exit: 1 },
  'range-outside-object': { permanent: true, exit: 1 },
  'no-space': { permanent: false, exit: 1 },
  'store-unreachable': { permanent: false, exit: 1 },
  'store-denied': { permanent: true, exit: 1 },
  'store-misconfigured': { permanent: true, exit: 2 },
  'credentials-missing': { permanent: true, exit: 2 },
  'credentials-expired': { permanent: false, exit: 1 },
  'clock-skew': { permanent: false, exit: 1 },

  'repository-missing': { permanent: true, exit: 2 },
  'repository-foreign': { permanent: true, exit: 2 },
  'repository-format': { permanent: true, exit: 2 },
  'record-invalid': { permanent: true, exit: 3 },
  'signature-invalid': { permanent: true, exit: 3 },
  'backup-missing': { permanent: true, exit: 2 },
  'backup-ambiguous': { permanent: true, exit: 2 },
  'backup-deleted': { permanent: true, exit: 1 },
  'report-missing': { permanent: true, exit: 2 },
  'report-ambiguous': { permanent: true, exit: 2 },
  'hold-missing': { permanent: true, exit: 2 },
  'owner-other': { permanent: true, exit: 2 },
  'era-undeclared': { permanent: true, exit: 2 },
  'era-exists': { permanent: true, exit: 2 },
  'era-mismatch': { permanent: true, exit: 1 },

  'server-unreachable': { permanent: false, exit: 1 },
  'server-refused': { permanent: true, exit: 2 },
  'server-unsupported': { permanent: true, exit: 2 },
  'server-settings': { permanent: true, exit: 2 },
  'server-in-recovery': { permanent: false, exit: 1 },
  'primary-missing': { permanent: false, exit: 1 },
  'rights-missing': { permanent: true, exit: 2 },
  'tool-outdated': { permanent: true, exit: 2 },
  'tool-failed': { permanent: false, exit: 1 },
  'tool-output': { permanent: true, exit: 1 },
  'cluster-busy': { permanent: false, exit: 1 },
  'sql-failed': { permanent: false, exit: 1 },
  'schema-missing': { permanent: true, exit: 2 },
  'sink-unusable': { permanent: true, exit: 2 },
  'outbox-full': { permanent: false, exit: 1 },

  'spool-invalid': { permanent: true, exit: 1 },
  'spool-busy': { permanent: false, exit: 1 },
  'wal-foreign': { permanent: true, exit: 1 },
  'wal-conflict': { permanent: true, exit: 3 },
  'wal-unreadable': { permanent: true, exit: 3 },
  'segment-not-archived': { permanent: false, exit: 1 },
  'wal-lost': { permanent: true, exit: 1 },
  'heartbeat-missing': { permanent: true, exit: 2 },
  'quarantine-missing': { permanent: true, exit: 2 },
  'timeline-not-adopted': { permanent: true, exit: 1 },

  'backup-unverified': { permanent: false, exit: 1 },
  'dump-incomplete': { permanent: true, exit: 1 },
  'manifest-invalid': { permanent: true, exit: 1 },
  'tar-invalid': { permanent: true, exit: 3 },

  'plan-missing': { permanent: true, exit: 2 },
  'plan-invalid': { permanent: true, exit: 2 },
  'target-unreachable': { permanent: true, exit: 3 },
  'target-folder': { permanent: true, exit: 2 },
  'cluster-running': { permanent: true, exit: 2 },
  'tablespace-outside': { permanent: true, exit: 3 },
  'recovery-failed': { permanent: true, exit: 1 },
  'recovery-unreached': { permanent: true, exit: 1 },
  'restore-unverified': { permanent: true, exit: 3 },
  'restore-unconfirmed': { permanent: true, exit: 3 },
  'database-exists': { permanent: true, exit: 2 },
  'database-missing': { permanent: true, exit: 2 },
  'database-not-empty': { permanent: true, exit: 2 },
  'database-in-use': { permanent: true, exit: 1 },
  'dump-refused': { permanent: true, exit: 2 },
  'dump-unverified': { permanent: false, exit: 1 },
  'dump-unfit': { permanent: true, exit: 3 },
  'dump-restore-failed': { permanent: true, exit: 1 },

  'expire-refused': { permanent: true, exit: 3 },
  'copy-incomplete': { permanent: false, exit: 1 },
  'damage-found': { permanent: true, exit: 3 },
  'check-failed': { permanent: true, exit: 3 },
  'objective-broken': { permanent: true, exit: 3 },
  'drill-failed': { permanent: true, exit: 3 },
  'drill-inconclusive': { permanent: true, exit: 1 },

  'schedule-unknown': { permanent: true, exit: 2 },
  'schedules-differ': { permanent: true, exit: 3 },
  'schedules-unconfirmed': { permanent: true, exit: 3 },

  'temporal-unreachable': { permanent: false, exit: 1 },
  'temporal-foreign': { permanent: true, exit: 2 },
  'worker-absent': { permanent: false, exit: 1 },
  'worker-outdated': { permanent: true, exit: 1 },
  'worker-stopped': { permanent: false, exit: 1 },
  'search-attribute-missing': { permanent: true, exit: 2 },
  timeout: { permanent: false, exit: 1 },
  cancelled: { permanent: true, exit: 130 },
  internal: { permanent: true, exit: 1 },
} as const satisfies Record<string, { permanent: boolean; exit: 1 | 2 | 3 | 130 }>;

export type ErrorCode = keyof typeof errorKinds;

/** Facts are what an alert, a report or a test holds on to: plain values, never a secret. */
export type Facts = Record<string, string | number | boolean | null | readonly (string | number)[]>;

/** The shape in which an error leaves a process: `--json`, reports, Temporal failures. */
export type ErrorDocument = { code: ErrorCode; message: string; facts: Facts; hint: string | null };

/**
 * The only error we throw on purpose: a stable code, a message in lower case, the facts as fields, and a hint that is a
 * sentence a person can act on.
 */
export class PgproofError extends Error {
  readonly code: ErrorCode;
  readonly facts: Facts;
  readonly hint: string | null;

  constructor(code: ErrorCode, message: string, more: { facts?: Facts; hint?: string; cause?: unknown } = {}) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
    this.name = 'PgproofError';
    this.code = code;
    this.facts = more.facts ?? {};
    this.hint = more.hint ?? null;
  }

  get permanent(): boolean {
    return errorKinds[this.code].permanent;
  }

  get exitCode(): number {
    return errorKinds[this.code].exit;
  }

  /** The same error, said by somebody who knows more: facts are added, and another message or hint takes the place of this one's. */
  retold({
    message = this.message,
    facts,
    hint = this.hint,
  }: {
    message?: string;
    facts?: Facts;
    hint?: string | null;
  }): PgproofError {
    return new PgproofError(this.code, message, {
      facts: { ...this.facts, ...facts },
      hint: hint ?? undefined,
      cause: this.cause ?? this,
    });
  }

  toDocument(): ErrorDocument {
    return { code: this.code, message: this.message, facts: this.facts, hint: this.hint };
  }
}

export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(errorKinds, text);
}

export function hasCode(error: unknown, ...codes: ErrorCode[]): error is PgproofError {
  return error instanceof PgproofError && codes.includes(error.code);
}

/** Anything thrown, as one of ours: a full disk is `no-space`, an unknown error `internal`; both keep their cause. */
export function asPgproofError(error: unknown): PgproofError {
  if (error instanceof PgproofError) return error;
  if (error instanceof Error && error.name === 'AbortError')
    return new PgproofError('cancelled', 'cancelled', { cause: error });
  const { code, path } = (error ?? {}) as { code?: unknown; path?: unknown };
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new PgproofError('no-space', `no space left${typeof path === 'string' ? ` for '${path}'` : ' on device'}`, {
      facts: { path: typeof path === 'string' ? path : null, errno: code },
      hint: 'Make room, or make the file system larger; it goes on by itself then.',
      cause: error,
    });
  return new PgproofError('internal', error instanceof Error ? error.message : String(error), { cause: error });
}
