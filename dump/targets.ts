import type { ClusterConfig } from '../core/config.ts';
import { type DecidedDump, type DumpOptions, decideDump, dumpOptionFields } from '../core/dump.ts';
import { PgproofError } from '../core/errors.ts';
import type { DumpRequest } from '../core/request.ts';
import { type DatabaseFacts, findDatabase } from './databases.ts';
import type { DumpTarget } from './target.ts';

/** Of a request, what says what is dumped and how. */
export type DumpAsked = Pick<DumpRequest, 'kind' | 'tier' | 'databases'> & Partial<DumpRequest>;

/**
 * What a request comes to with this configuration, by what stands in both.
 * @throws {PgproofError} `dump-refused` for options that do not go together.
 */
export function wantedOf({ dumps, tools }: Pick<ClusterConfig, 'dumps' | 'tools'>, asked: DumpAsked) {
  const said = optionsOf(asked);
  if (asked.kind !== 'database') {
    refuseForDumpall(asked, said);
    const { content, owner, privileges, encoding } = { ...dumps, ...said };
    const more = asked.kind === 'cluster' ? { content, owner, privileges } : {};
    const options = decideDump({ ...more, encoding, format: 'plain', globals: false });
    return { names: null, optionsOf: (_: string) => options };
  }
  const decided = (database: string): DecidedDump => {
    const options = decideDump(said, dumps.perDatabase[database] ?? {}, dumps);
    if (options.format === 'directory' && tools.docker !== undefined)
      throw directoryInContainer(database, tools.docker);
    if (said.jobs !== undefined && options.format !== 'directory') throw jobsInVain(options.format);
    return options;
  };
  return { names: asked.databases ?? dumps.databases, optionsOf: decided };
}

/**
 * A dump each. One of several that is not there is among them: it fails by itself, and keeps none of the others from being dumped.
 * @throws {PgproofError} `database-missing`, `dump-refused`, where nothing of it can be dumped.
 */
export function targetsOf(
  wanted: ReturnType<typeof wantedOf>,
  { kind, tier }: Pick<DumpAsked, 'kind' | 'tier'>,
  databases: readonly DatabaseFacts[],
): DumpTarget[] {
  if (wanted.names === null) return [{ kind, database: null, tier, options: wanted.optionsOf('') }];
  const names =
    wanted.names === 'all'
      ? databases.filter(({ isOpen, isTemplate }) => isOpen && !isTemplate).map(({ name }) => name)
      : namesToDump([...new Set(wanted.names)], databases);
  if (names.length === 0)
    throw new PgproofError('database-missing', 'the server has no database that takes connections and is no template');
  return names.map((database) => ({ kind, database, tier, options: wanted.optionsOf(database) }));
}

function namesToDump(names: readonly string[], databases: readonly DatabaseFacts[]): readonly string[] {
  const some = names.some((name) => databases.some((one) => one.name === name && one.isOpen));
  if (!some) findDatabase(databases, names[0] as string);
  return names;
}

/** The request's own options, without those that were left open. */
function optionsOf(asked: DumpAsked): DumpOptions {
  const given = Object.keys(dumpOptionFields).flatMap((key) => {
    const value = asked[key as keyof DumpOptions];
    return value === undefined || value === null ? [] : [[key, value]];
  });
  return Object.fromEntries(given) as DumpOptions;
}

/** pg_dumpall writes SQL, and selects nothing. */
function refuseForDumpall({ kind, databases }: DumpAsked, said: DumpOptions): void {
  const what = kind === 'globals' ? 'globals alone' : 'the whole server';
  const possible = ['content', 'owner', 'privileges', 'encoding'].filter(
    (key) => kind === 'cluster' || key === 'encoding',
  );
  const wrong = Object.keys(said).find(
    (key) => !possible.includes(key) && !(key === 'format' && said.format === 'plain'),
  );
  const option = wrong ?? (databases === null ? undefined : 'databases');
  if (option === undefined) return;
  throw new PgproofError('dump-refused', `${option} was given for a dump of ${what}, which pg_dumpall writes as SQL`, {
    facts: { option, kind },
    hint: `Leave it away, or leave ${kind === 'globals' ? '--globals-only' : '--all'} away and have a dump of each database. pg_dumpall takes ${possible.join(', ')}.`,
  });
}

function directoryInContainer(database: string, container: string): PgproofError {
  return new PgproofError(
    'dump-refused',
    `the format directory cannot be streamed out of the container '${container}'`,
    {
      facts: { database, container },
      hint: 'Take custom: one stream, from which pg_restore can select as well. Or install the client programs on this host (tools.bin).',
    },
  );
}

function jobsInVain(format: string): PgproofError {
  return new PgproofError(
    'dump-refused',
    `jobs was given, and only the format directory is dumped by several (${format} is not)`,
    {
      facts: { option: 'jobs', format },
      hint: 'Give the format directory, or leave jobs away.',
    },
  );
}
