import { PgproofError } from '../core/errors.ts';

/** Whom a copy waits for at the moment: named when nothing has moved for too long. */
export type AwaitedParty = 'server' | 'archiver' | 'repository';

/** Told whenever something moved, and who has to move next. */
export type StallWatch = { signal: AbortSignal; waitsFor(party: 'server' | 'repository'): void };

export type StallOptions = {
  /** Nothing may stand still for longer. */
  seconds: number;
  /** Asked when the server has sent nothing: is it its archiver that it waits for? */
  awaitsArchiver?(): Promise<boolean>;
  /** What to look for when it is the server itself. */
  serverHint?: string;
};

const stories: Record<AwaitedParty, { code: 'timeout' | 'segment-not-archived'; what: string; hint: string }> = {
  server: {
    code: 'timeout',
    what: 'the server has sent nothing',
    hint: 'Look for a checkpoint that does not end, a lost connection, or a stopped server; its log tells.',
  },
  archiver: {
    code: 'segment-not-archived',
    what: 'PostgreSQL has waited for its archive_command to take the WAL of this backup',
    hint: "PostgreSQL's log says why archive_command fails; `pgproof check` tries it.",
  },
  repository: {
    code: 'timeout',
    what: 'the repository has taken nothing',
    hint: 'Look whether the disk or the store of the repository still answers.',
  },
};

/**
 * Runs `use` and aborts the signal handed to it when nobody has called `waitsFor` for so many seconds: a copy may take ten
 * hours, but never stands still for long.
 * @throws {PgproofError} `timeout`; `segment-not-archived` when the server waited for its archiver.
 */
export async function withStallWatch<T>(
  outer: AbortSignal,
  { seconds, awaitsArchiver, serverHint }: StallOptions,
  use: (watch: StallWatch) => Promise<T>,
): Promise<T> {
  const stalled = new AbortController();
  let party: 'server' | 'repository' = 'server';
  const giveUp = async (): Promise<void> => {
    // A server that does not answer this either is the one that is waited for.
    const archiver = party === 'server' && (await awaitsArchiver?.().catch(() => false));
    stalled.abort(stallError(archiver ? 'archiver' : party, seconds, serverHint));
  };
  const timer = setTimeout(() => void giveUp(), seconds * 1000);
  const waitsFor = (next: 'server' | 'repository') => {
    party = next;
    timer.refresh();
  };
  try {
    return await use({ signal: AbortSignal.any([outer, stalled.signal]), waitsFor });
  } finally {
    clearTimeout(timer);
  }
}

function stallError(party: AwaitedParty, seconds: number, serverHint: string | undefined): PgproofError {
  const { code, what, hint } = { ...stories[party], ...(party === 'server' && serverHint ? { hint: serverHint } : {}) };
  return new PgproofError(code, `${what} for ${seconds} s`, { facts: { waitedFor: party, seconds }, hint });
}
