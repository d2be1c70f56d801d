import { resolve } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { databaseName } from '../core/dump.ts';
import { printable } from '../core/format.ts';
import { parseTarget } from '../core/target.ts';
import { offsetMinutes } from '../core/zone.ts';
import { ownHostName } from '../host/host.ts';
import { importPlace } from '../host/import.ts';
import { defaultStateDir } from '../host/paths.ts';
import { type Inventory, takeInventory } from '../import/inventory.ts';
import { cbcCiphers, type Opening } from '../import/peel.ts';
import { listBases } from '../import/physical/list.ts';
import type { Place } from '../import/physical/opened.ts';
import { restoreBase } from '../import/physical/restore.ts';
import { takeBases } from '../import/physical/take.ts';
import { verifyBase } from '../import/physical/verify.ts';
import { planTake, type TakeDumpsOrder } from '../import/plan.ts';
import { type Taken, takeDumps } from '../import/take.ts';
import { type VerifiedDump, verifyDump } from '../import/verify.ts';
import { renderRestore } from '../report/render/restore.ts';
import { choose } from './import-choose.ts';
import { listed, listText } from './import-list.ts';
import { type Done, takenJson, takenText } from './import-taken.ts';
import { verifiedJson, verifiedText } from './import-verified.ts';
import { paragraphs, passedOver } from './import-words.ts';
import { passphraseOptions, readPassphrase } from './passphrase.ts';
import { type Answer, type Session, verb } from './session.ts';

export const importVerb = (): Command =>
  new Command('import')
    .description('takes over what older scripts left: dumps, base backups and WAL in a folder, which is only read')
    .addCommand(
      opening(new Command('list'))
        .description('what is there, told by names and the first bytes of each file')
        .argument('<folder>')
        .option('--zone <zone>', "of the scripts' clocks, such as Asia/Shanghai; default UTC", zone)
        .action(verb(list)),
    )
    .addCommand(
      opening(new Command('verify'))
        .description(
          'reads everything to its end: checksums, trailers, pg_restore --list; exit 3 names what is not whole',
        )
        .argument('<folder>')
        .argument('[file...]', 'only these')
        .action(verb((session, folder, files) => verify(session, folder as string, listOf(files)))),
    )
    .addCommand(
      opening(new Command('take'))
        .description('into the repositories of a cluster, verified and signed; again takes what is missing only')
        .argument('<folder>')
        .argument('<cluster>')
        .argument('[file...]', 'only these; default all')
        .option('--tier <name>', 'the label that retention goes by; default as the folder is called, or imported')
        .option('--database <name>', 'what those are of that do not say it', database)
        .option('--zone <zone>', "of the scripts' clocks, such as Asia/Shanghai; default UTC", zone)
        .option('--reason <text>', 'why; stands in the reports')
        .option('--dry-run', 'say what would be taken, and as what')
        .action(verb((session, folder, name, files) => take(session, folder as string, name as string, listOf(files)))),
    )
    .addCommand(
      opening(new Command('restore'))
        .description('restores a base backup with its WAL from where they lie, to any target, into a new folder')
        .argument('<folder>')
        .argument('<base>', 'its name, such as base_20260114_120000')
        .requiredOption('--to <target>', 'a time with its offset or zone, latest, immediate, lsn:X/X, xid:N, name:TEXT')
        .requiredOption('--into <folder>', 'the data directory to be: empty or absent')
        .option('--exclusive', 'stop before the target, not behind it (time, lsn, xid)')
        .option('--timeline <number>', 'follow this timeline; default: the newest', timeline)
        .action(verb(restore)),
    );

async function list(session: Session, folder: string): Promise<Answer> {
  const key = await readOpening(session);
  const inventory = await takeInventory(folder, key, session.signal);
  const physical = await listBases(inventory.dir, key, session.signal);
  const found = listed(inventory, physical, zoneOf(session));
  return { json: found, text: listText(found) };
}

async function verify(session: Session, folder: string, files: readonly string[]): Promise<Answer> {
  const key = await readOpening(session);
  const inventory = await takeInventory(folder, key, session.signal);
  const { bases: there } = await listBases(inventory.dir, key, session.signal);
  const { dumps, bases } = choose(inventory, there, files);
  const verifiedDumps: VerifiedDump[] = [];
  for (const dump of dumps) verifiedDumps.push(await verifyDump(dump, key, session.run));
  const verifiedBases = [];
  if (bases.length > 0) {
    const order = { dir: inventory.dir, place: await ownPlace(), opening: key };
    for (const base of bases) verifiedBases.push(await verifyBase({ ...order, base }, session.run));
  }
  const isBad = [...verifiedDumps, ...verifiedBases].some(({ whole }) => !whole);
  return {
    json: verifiedJson(inventory.dir, verifiedDumps, verifiedBases),
    text: paragraphs(verifiedText(verifiedDumps, verifiedBases), othersOf(inventory, files)),
    exitCode: isBad ? 3 : 0,
  };
}

async function take(session: Session, folder: string, name: string, files: readonly string[]): Promise<Answer> {
  const { options, run } = session;
  const key = await readOpening(session);
  const cluster = await session.cluster(name);
  const inventory = await takeInventory(folder, key, session.signal);
  const { bases: there } = await listBases(inventory.dir, key, session.signal);
  const { dumps, bases } = choose(inventory, there, files);
  const asked = { requestedBy: session.requestedBy, reason: (options.reason as string | undefined) ?? null };
  const order: TakeDumpsOrder = {
    opening: key,
    zone: zoneOf(session),
    tier: (options.tier as string | undefined) ?? null,
    database: (options.database as string | undefined) ?? null,
    ...asked,
  };
  const planned = planTake(dumps, order);
  const answer = (done: Done) => takenAnswer(takenJson(name, planned, bases, done), othersOf(inventory, files));
  if (options.dryRun === true) return answer(null);
  const tell = ({ place, outcome }: Taken) => session.say(`  ${outcome}: ${printable(place)}`);
  const taken = await takeDumps(cluster, planned, order, run, tell);
  const place = { paths: cluster.paths, host: cluster.host, bin: cluster.config.tools.bin };
  const physical =
    bases.length === 0
      ? null
      : await takeBases(cluster, { dir: inventory.dir, bases, place, opening: key, ...asked }, run);
  return answer({ taken, physical });
}

/** Who names files knows of the others. */
const othersOf = (inventory: Inventory, files: readonly string[]): string =>
  files.length === 0 ? passedOver(inventory) : '';

function takenAnswer(json: ReturnType<typeof takenJson>, others: string): Answer {
  const isRefused = [...json.dumps, ...json.bases, ...(json.wal?.refused ?? [])].some(({ error }) => error !== null);
  return { json, text: paragraphs(takenText(json), others), exitCode: isRefused ? 3 : 0 };
}

async function restore(session: Session, folder: string, base: string): Promise<Answer> {
  const { options } = session;
  const target = parseTarget(options.to as string, {
    inclusive: options.exclusive !== true,
    timeline: (options.timeline as number | undefined) ?? null,
  });
  const into = resolve(options.into as string);
  const order = {
    dir: resolve(folder),
    base,
    target,
    into,
    place: await ownPlace(),
    opening: await readOpening(session),
  };
  const result = await restoreBase(order, session.run);
  return { json: result, text: renderRestore({ result }) };
}

/** The whole command's, as commander hands them on. */
const listOf = (files: unknown): string[] => (Array.isArray(files) ? (files as string[]) : []);

function opening(command: Command): Command {
  return passphraseOptions(command, ', as the scripts had it').addOption(
    new Option('--cipher <cipher>', 'of what is encrypted; default: the one that fits').argParser(cipher),
  );
}

async function readOpening(session: Session): Promise<Opening> {
  const cipher = (session.options.cipher as Opening['cipher'] | undefined) ?? null;
  return { passphrase: await readPassphrase(session), cipher };
}

/** Of this host; no configuration is needed to look at old files, and to restore from them. */
const ownPlace = (): Promise<Place> => importPlace({ name: ownHostName(), stateDir: defaultStateDir() });

const zoneOf = ({ options }: Session): string | null => (options.zone as string | undefined) ?? null;

function zone(text: string): string {
  try {
    offsetMinutes(text, 0);
    return text;
  } catch {
    throw new InvalidArgumentError('a time zone is called such as Asia/Shanghai or UTC.');
  }
}

function timeline(text: string): number {
  if (/^[1-9]\d{0,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('a timeline is a number from 1.');
}

function cipher(text: string): (typeof cbcCiphers)[number] {
  const known = cbcCiphers.find((name) => name === text.toLowerCase());
  if (known !== undefined) return known;
  const why = /gcm|poly1305|ccm/i.test(text)
    ? '`openssl enc` refuses such ciphers ("AEAD ciphers not supported"): no script has made a file with it. '
    : '';
  throw new InvalidArgumentError(`${why}Known are ${cbcCiphers.join(', ')}.`);
}

function database(text: string): string {
  const parsed = databaseName.safeParse(text);
  if (parsed.success) return text;
  throw new InvalidArgumentError(`the name of a database is ${parsed.error.issues[0]?.message}.`);
}
