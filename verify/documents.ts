import { hasCode, PgproofError } from '../core/errors.ts';
import { historyFileName, type TimelineId, timelineOf } from '../core/segment.ts';
import type { HistoryEntry } from '../core/timeline.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import { readRecord } from '../repository/catalogue.ts';
import { listCuts } from '../repository/cuts.ts';
import { readDocument } from '../repository/document.ts';
import { readHistory } from '../repository/histories.ts';
import {
  backupKey,
  cutPrefix,
  eraKey,
  parseWrapperKey,
  readmeKey,
  repositoryKey,
  timelinePrefix,
} from '../repository/layout.ts';
import {
  type BackupRecord,
  type CutRecord,
  type EraRecord,
  eraRecord,
  repositoryRecord,
  wrapperRecord,
} from '../repository/record.ts';
import type { Census, EraCensus } from './census.ts';
import { readDumps } from './dumps.ts';
import type { Findings, Subject } from './findings.ts';
import type { Known, KnownEra } from './known.ts';
import { inParallel, kindOf, type Looking } from './looking.ts';

const parallel = 8;

/** Reads every small document, and compares it with its signature, its tag, or its own name. */
export async function readDocuments(
  cluster: ProtectedCluster,
  census: Census,
  looking: Looking,
  findings: Findings,
): Promise<Known> {
  await checkTop(cluster, census, looking, findings);
  const eras: KnownEra[] = [];
  for (const [name, era] of [...census.eras].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const record = await readEra(cluster, name, era, looking, findings);
    const histories = await readHistories(cluster, name, era, record, looking, findings);
    const { records, lacksKey } = await readRecords(cluster, name, era, looking, findings);
    const cuts = await readCuts(cluster, name, looking, findings);
    eras.push({ name, census: era, record, histories, cuts, expiredElsewhere: new Map(), records, lacksKey });
  }
  return { eras, dumps: await readDumps(cluster, census.dumps, looking, findings) };
}

async function checkTop(
  cluster: ProtectedCluster,
  census: Census,
  looking: Looking,
  findings: Findings,
): Promise<void> {
  const { repository } = cluster;
  const { signal } = looking;
  const subject: Subject = { of: 'repository' };
  const marker = await looking.at(repositoryKey, async () => {
    const { repositoryId } = await readDocument(repository.store, repositoryKey, repositoryRecord, { signal });
    if (repositoryId !== repository.id) throw invalid(repositoryKey, 'it names another repository than before');
  });
  if (marker.state === 'damaged' || marker.state === 'missing')
    findings.add({ object: repositoryKey, kind: marker.state, why: marker.why, subject });
  if (!census.hasReadme)
    findings.add({ object: readmeKey, kind: 'missing', why: 'nobody finds out how to restore by hand', subject });
  await inParallel(census.wrappers, parallel, async (key) => {
    const look = await looking.at(key, () => readWrapper(cluster, key, signal));
    if (look.state === 'damaged' || look.state === 'missing')
      findings.add({ object: key, kind: look.state, why: look.why, subject });
  });
}

async function readEra(
  { repository, name: cluster }: ProtectedCluster,
  name: string,
  { declared }: EraCensus,
  looking: Looking,
  findings: Findings,
): Promise<EraRecord | null> {
  const key = eraKey(cluster, name);
  const subject: Subject = { of: 'era', era: name };
  if (!declared) {
    findings.add({
      object: key,
      kind: 'missing',
      why: 'there are objects of this era, and it is not declared',
      subject,
    });
    return null;
  }
  const look = await looking.at(key, async () => {
    const record = await readDocument(repository.store, key, eraRecord, { signal: looking.signal });
    if (record.era !== name) throw invalid(key, `it describes the era '${record.era}'`);
    return record;
  });
  if (look.state === 'whole') return look.value;
  if (look.state === 'damaged' || look.state === 'missing')
    findings.add({ object: key, kind: look.state, why: look.why, subject });
  return null;
}

async function readHistories(
  { repository, walKeys, name: cluster }: ProtectedCluster,
  name: string,
  era: EraCensus,
  record: EraRecord | null,
  looking: Looking,
  findings: Findings,
): Promise<Map<TimelineId, readonly HistoryEntry[]>> {
  const { signal } = looking;
  const histories = new Map<TimelineId, readonly HistoryEntry[]>();
  const seen = new Set<TimelineId>();
  for (const { timeline, tag, key } of era.histories) {
    const subject: Subject = { of: 'history', era: name, timeline };
    if (seen.has(timeline))
      findings.add({
        object: key,
        kind: 'conflict',
        why: `timeline ${timeline} has another history file, too`,
        subject,
      });
    seen.add(timeline);
    const look = await looking.at(key, () =>
      readHistory(repository, walKeys, cluster, name, timeline, tag, { signal }),
    );
    if (look.state === 'whole') histories.set(timeline, look.value.entries);
    else if (look.state !== 'unread') findings.add({ object: key, kind: kindOf(look.state), why: look.why, subject });
  }
  for (const timeline of timelinesOf(era)) {
    if (seen.has(timeline) || timeline === 1 || record === null || timeline === record.timeline) continue;
    const object = `${timelinePrefix(cluster, name)}${historyFileName(timeline)}`;
    const why = `there is WAL of timeline ${timeline}, and not its history file`;
    findings.add({ object, kind: 'missing', why, subject: { of: 'history', era: name, timeline } });
  }
  return histories;
}

async function readCuts(
  { repository, name: cluster }: ProtectedCluster,
  era: string,
  looking: Looking,
  findings: Findings,
): Promise<CutRecord[]> {
  const object = cutPrefix(cluster, era);
  const look = await looking.at(object, () => listCuts(repository, cluster, era, { signal: looking.signal }));
  if (look.state === 'whole') return look.value;
  if (look.state !== 'unread')
    findings.add({ object, kind: kindOf(look.state), why: look.why, subject: { of: 'era', era } });
  return [];
}

async function readRecords(
  { repository, keys, name: cluster }: ProtectedCluster,
  name: string,
  era: EraCensus,
  looking: Looking,
  findings: Findings,
): Promise<Pick<KnownEra, 'records' | 'lacksKey'>> {
  const records: BackupRecord[] = [];
  let lacksKey: PgproofError | null = null;
  const noteKey = (error: unknown): never => {
    if (hasCode(error, 'key-missing')) lacksKey = error;
    throw error;
  };
  const standing = [...era.commits].filter((id) => !era.tombstones.has(id)).sort();
  await inParallel(standing, parallel, async (id) => {
    const key = backupKey(cluster, name, id);
    const look = await looking.at(key, () =>
      readRecord(repository, keys, cluster, name, id, { signal: looking.signal }).catch(noteKey),
    );
    if (look.state === 'whole') records.push(look.value);
    else if (look.state !== 'unread')
      findings.add({ object: key, kind: kindOf(look.state), why: look.why, subject: { of: 'backup', era: name, id } });
  });
  return { records: records.sort((a, b) => (a.id < b.id ? -1 : 1)), lacksKey };
}

/** Timelines that have WAL in the archive. */
export function timelinesOf({ wal }: EraCensus): Set<TimelineId> {
  const timelines = new Set<TimelineId>();
  for (const segment of wal.keys()) timelines.add(timelineOf(segment));
  return timelines;
}

/** Whether somebody's passphrase or identity opens it, only they can tell. */
export async function readWrapper({ repository }: ProtectedCluster, key: string, signal: AbortSignal): Promise<void> {
  const { keyId } = await readDocument(repository.store, key, wrapperRecord, { signal });
  if (keyId !== parseWrapperKey(key)?.keyId) throw invalid(key, `it wraps the key set '${keyId}'`);
}

const invalid = (key: string, why: string): PgproofError =>
  new PgproofError('record-invalid', `'${key}' is not what it should be: ${why}`, { facts: { key } });
