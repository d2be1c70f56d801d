import type { Run } from '../../../core/run.ts';
import type { Clients } from '../../../postgres/clients.ts';
import type { ProtectedCluster } from '../../../postgres/cluster.ts';
import { type AskedDump, type ChosenDump, plannedOf, planningWith } from '../chosen.ts';
import { type GlobalsPlan, globalsOf, readGlobals } from '../globals.ts';
import { connectionOf, type RestoreServer } from '../plan.ts';
import type { WholePlan } from '../plan-record.ts';
import { saveDumpPlan } from '../plans.ts';
import { findRestorers, knowsRestrict } from '../programs.ts';
import { lookAtServer, type TargetServer } from '../server.ts';
import type { DumpSource } from '../source.ts';
import { refuseWithoutRoom } from '../stage.ts';
import { refuseUnfitWhole, refuseUnrestricted, refuseWithoutTablespaces, refuseWrongDump } from './fit.ts';
import { lookWhatOccupies } from './occupied.ts';

export type WholeRequest = {
  dump: AskedDump;
  globals: WholePlan['globals'];
  /** Role to connect as. */
  user: string | null;
};

/**
 * Decides the restore of what pg_dumpall wrote, the globals of a server or all of it, and keeps it as a frozen plan; nothing is written
 * but that, and a hold that keeps the dump for a week.
 * @throws {PgproofError} `usage` for a dump of one database; `database-not-empty`, `dump-unfit`, `rights-missing`, `no-space`, …
 */
export async function planWholeRestore(
  cluster: ProtectedCluster,
  server: RestoreServer,
  request: WholeRequest,
  run: Run,
): Promise<WholePlan> {
  return planningWith(cluster, request.dump, run, async (chosen) => {
    const { source, held } = chosen;
    const looked = await lookAtWhole(source, server, request, run);
    if (source.kind === 'cluster' && source.plainBytes !== null)
      await refuseWithoutRoom(cluster.paths.dumps, source.plainBytes);
    const plan: WholePlan = {
      kind: 'whole',
      ...plannedOf(cluster, chosen),
      of: source.kind === 'globals' ? 'globals' : 'cluster',
      globals: request.globals,
      server: server.name,
      serverVersion: looked.found.versionText,
      user: request.user,
      makes: looked.globals.makes,
      confirmed: source.kind === 'globals' ? 'not needed' : null,
      conflicts: looked.globals.conflicts,
      notes: [...notesOf(chosen, looked), ...(held?.notes ?? [])],
    };
    await saveDumpPlan(cluster, plan);
    return plan;
  });
}

export type LookedAt = { found: TargetServer; tools: Clients; globals: GlobalsPlan };

/** Server and globals, compared; changes nothing. At the start it is done once more, because much may have happened since. */
export async function lookAtWhole(
  source: DumpSource,
  server: RestoreServer,
  { globals: mode, user }: Pick<WholeRequest, 'globals' | 'user'>,
  run: Run,
): Promise<LookedAt> {
  refuseWrongDump(source);
  const connection = connectionOf(server, user);
  const found = await lookAtServer(connection, 'postgres', run);
  const occupied = source.kind === 'cluster' ? await lookWhatOccupies(connection, run.signal) : null;
  refuseUnfitWhole({ source, occupied, server: found });
  const tools = await findRestorers(server.config.tools, source, found.major);
  refuseUnrestricted(source, knowsRestrict(tools));
  if (source.kind === 'cluster') refuseWithoutTablespaces(await globalsOf(source, run), found);
  return { found, tools, globals: await readGlobals(source, tools, connection, found, mode, run) };
}

function notesOf({ source }: ChosenDump, { found }: LookedAt): string[] {
  const from = source.server?.major ?? null;
  return [
    ...source.notes,
    ...(from === null || from === found.major
      ? []
      : [`It was taken from PostgreSQL ${from}, and goes into ${found.major}.`]),
    ...(source.kind === 'cluster'
      ? [
          "What belongs to the databases 'postgres' and 'template1' themselves (ALTER DATABASE … SET, GRANT … ON DATABASE) is not in such a dump.",
        ]
      : []),
    ...(source.trusted
      ? []
      : [
          source.kind === 'globals'
            ? 'Nobody signed this dump, which psql runs in its restricted mode: its roles may do what it says, and may be superusers.'
            : 'Nobody signed this dump, which psql runs in its restricted mode: its SQL has the rights of the superuser that restores, and so those of the server on its machine.',
        ]),
  ];
}
