import { asPgproofError, type PgproofError } from '../../core/errors.ts';
import type { Lsn } from '../../core/lsn.ts';
import type { Run } from '../../core/run.ts';
import type { SegmentName } from '../../core/segment.ts';
import { coverageFrom, walOf } from '../../restore/archive.ts';
import { lastRecordStart } from '../../wal/scan.ts';
import type { Opening } from '../peel.ts';
import { readWhole } from './checked.ts';
import { type OpenedBase, openBase, type Place } from './opened.ts';
import { withScratch } from './restore.ts';
import { readPlain } from './segments.ts';

export type VerifiedBase = {
  name: string;
  /** Nothing was found. Recovery from it then goes without a gap to `restorableTo`. */
  whole: boolean;
  findings: string[];
  /** What is no fault, and worth knowing. */
  notes: string[];
  systemId: string | null;
  major: number | null;
  startLsn: Lsn | null;
  stopLsn: Lsn | null;
  /** Of the archives; files were held against PostgreSQL's manifest where there is one. */
  files: number | null;
  bytes: number | null;
  againstManifest: boolean;
  /** The last record that recovery from this base can reach; null where it cannot even become consistent. */
  restorableTo: Lsn | null;
  segments: number;
};

/**
 * Verifies one base backup and the WAL from it on: every archive decoded to its end, every file against PostgreSQL's manifest,
 * every segment decoded whole, of the same system, where its name says; no gap. Nothing of a finding is thrown.
 * @throws {PgproofError} `backup-missing`; `passphrase-missing`, `passphrase-wrong`; the signal's reason.
 */
export async function verifyBase(
  { dir, base, place, opening }: { dir: string; base: string; place: Place; opening: Opening },
  run: Run,
): Promise<VerifiedBase> {
  return withScratch(place, async (scratch) => {
    let opened: OpenedBase;
    try {
      opened = await openBase(dir, base, { place, opening }, scratch, run);
    } catch (error) {
      return unopened(base, ofThePerson(error, run.signal));
    }
    const archives = await archivesOf(opened, opening, run);
    const wal = await walFindings(opened, opening, run);
    const findings = [...archives.findings, ...wal.findings];
    const { old, record, manifest } = opened;
    return {
      name: base,
      whole: findings.length === 0,
      findings,
      notes: wal.notes,
      systemId: old.systemId,
      major: old.major,
      startLsn: record.startLsn as Lsn,
      stopLsn: record.stopLsn as Lsn,
      files: archives.read?.files ?? null,
      bytes: archives.read?.bytes ?? null,
      againstManifest: manifest !== null && archives.read !== null,
      restorableTo: wal.restorableTo,
      segments: old.segments.size,
    };
  });
}

async function archivesOf({ base, manifest }: OpenedBase, opening: Opening, run: Run) {
  try {
    return { read: await readWhole(base, manifest, opening, run), findings: [] };
  } catch (error) {
    return { read: null, findings: [ofThePerson(error, run.signal).message] };
  }
}

async function walFindings(opened: OpenedBase, opening: Opening, run: Run) {
  const { old, archive, record } = opened;
  const coverage = coverageFrom(archive, record.startLsn as Lsn);
  const findings = old.damaged.map(({ error }) => error.message);
  if (coverage.stop.reason === 'gap')
    findings.push(`segment ${coverage.stop.segment} is missing, and later ones are there: recovery ends before it`);
  findings.push(...(await differingForms(opened, opening, run)));
  const last = await lastRecordStart(walOf(archive, coverage), record.stopLsn as Lsn, run.signal);
  if (last === null) findings.push(`the WAL ends before ${record.stopLsn}, where the base backup becomes consistent`);
  const own = [...old.segments.values()].filter((segment) => segment.own).map(({ name }) => name);
  const notes = own.length === 0 ? [] : [`only in pg_wal.tar, not in wal/: ${own.join(', ')}`];
  return { findings, notes, restorableTo: last };
}

/** A segment that lies there twice, plain and compressed, must be one. */
async function differingForms({ wal, old }: OpenedBase, opening: Opening, run: Run): Promise<string[]> {
  const findings: string[] = [];
  for (const [name, paths] of wal.segments) {
    const seen = old.segments.get(name);
    if (paths.length < 2 || seen === undefined) continue;
    const first = await readPlain(seen.path, opening, run.signal);
    for (const path of paths.filter((each) => each !== seen.path))
      if (!(await isSame(path, first, opening, run.signal))) findings.push(differs(name, seen.path, path));
  }
  return findings;
}

async function isSame(path: string, first: Buffer, opening: Opening, signal: AbortSignal): Promise<boolean> {
  try {
    return first.equals(await readPlain(path, opening, signal));
  } catch (error) {
    ofThePerson(error, signal);
    return false;
  }
}

const differs = (name: SegmentName, one: string, other: string): string =>
  `segment ${name} lies there twice with different content, or damaged: '${one}' and '${other}'`;

function unopened(name: string, error: PgproofError): VerifiedBase {
  const unknown = { systemId: null, major: null, startLsn: null, stopLsn: null, files: null, bytes: null } as const;
  const findings = [error.message];
  return {
    name,
    whole: false,
    findings,
    notes: [],
    ...unknown,
    againstManifest: false,
    restorableTo: null,
    segments: 0,
  };
}

/** A passphrase that is missing or wrong, and a name that is not there, are for the person to correct: no finding. */
function ofThePerson(thrown: unknown, signal: AbortSignal): PgproofError {
  const error = asPgproofError(thrown);
  const codes = ['passphrase-missing', 'passphrase-wrong', 'backup-missing', 'internal', 'no-space', 'tool-missing'];
  if (signal.aborted || codes.includes(error.code)) throw thrown;
  return error;
}
