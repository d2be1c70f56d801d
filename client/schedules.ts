import { Command } from 'commander';
import type { Config } from '../core/config.ts';
import { PgproofError } from '../core/errors.ts';
import { clockNotes } from '../core/schedule/clocks.ts';
import { type WantedSchedule, wantedSchedules } from '../core/schedule/wanted.ts';
import { nearest } from '../host/nearest.ts';
import { applySchedules } from '../workers/schedules/apply.ts';
import { pauseSchedules, resumeSchedules } from '../workers/schedules/pause.ts';
import { planSchedules } from '../workers/schedules/plan.ts';
import { listSchedules } from '../workers/schedules/status.ts';
import { ensureSearchAttributes } from '../workers/search-attributes.ts';
import { temporalSettings } from '../workers/temporal.ts';
import { planDocument, renderList, renderPlan } from './schedules-text.ts';
import { type Answer, type Session, verb } from './session.ts';
import { connectTemporal, type Temporal } from './temporal.ts';

export const schedulesVerb = (): Command =>
  new Command('schedules')
    .description('what runs by itself: from the configuration to Temporal, and how it stands there')
    .addCommand(
      new Command('apply')
        .description('makes the schedules in Temporal those of the configuration; pauses made by people stay')
        .option('--dry-run', 'show the difference and change nothing')
        .option('--yes', 'even when more than a third of the schedules would be deleted')
        .action(verb(apply)),
    )
    .addCommand(
      new Command('list')
        .description('next runs, last results, missed and skipped runs; exit 3 when Temporal and configuration differ')
        .argument('[cluster]')
        .action(verb(list)),
    )
    .addCommand(pauseOrResume('pause', 'no runs begin until it is resumed; what is under way goes on'))
    .addCommand(pauseOrResume('resume', 'runs begin again; what was due meanwhile is not made up for'));

function pauseOrResume(what: 'pause' | 'resume', description: string): Command {
  return new Command(what)
    .description(description)
    .argument('<cluster>')
    .argument('[schedule]', 'its name; default: all of the cluster')
    .option('--reason <text>', 'why; stands in Temporal beside the schedule')
    .action(verb((session, cluster, name) => turn(session, what, cluster as string, name)));
}

async function apply(session: Session): Promise<Answer> {
  const { options, signal } = session;
  const config = await session.config();
  return withTemporal(config, async ({ client, connection, settings }) => {
    const now = new Date();
    const plan = await planSchedules(client, config, { signal });
    const done = options.dryRun !== true;
    if (done) await ensureSearchAttributes(connection, settings.namespace);
    if (done) await applySchedules(client, plan, { confirmed: options.yes === true, signal });
    const notes = clockNotes(wantedSchedules(config), now);
    const text = renderPlan(plan, { done, notes, now });
    const said = done && plan.changes.length > 0 ? `${text}\n${workersReadOnce}` : text;
    return { json: { ...planDocument(plan, now), applied: done, notes }, text: said };
  });
}

/** When is now in Temporal, how is not: a run does what the configuration says that its worker was started with. */
const workersReadOnce = 'What else changed in the configuration holds once `up` or the worker was started anew.';

async function list(session: Session, cluster?: string): Promise<Answer> {
  const config = await session.config();
  if (cluster !== undefined) schedulesOf(config, cluster);
  return withTemporal(config, async ({ client }) => {
    const options = { signal: session.signal, ...(cluster === undefined ? {} : { cluster }) };
    const schedules = await listSchedules(client, config, options);
    const exitCode = schedules.some(({ drift }) => drift !== null) ? 3 : 0;
    return { json: { fleet: config.fleet, schedules }, text: renderList(schedules), exitCode };
  });
}

async function turn(session: Session, what: 'pause' | 'resume', cluster: string, name?: string): Promise<Answer> {
  const config = await session.config();
  const schedules = schedulesOf(config, cluster, name);
  const { reason } = session.options as { reason?: string };
  const done = `${what}d by ${session.requestedBy}${reason === undefined ? '' : `: ${reason}`}`;
  return withTemporal(config, async ({ client }) => {
    const change = what === 'pause' ? pauseSchedules : resumeSchedules;
    await change(client, schedules, { note: done, signal: session.signal });
    const ids = schedules.map(({ id }) => id);
    return { json: { [`${what}d`]: ids, note: done }, text: ids.map((id) => `${id} ${done}`).join('\n') };
  });
}

async function withTemporal(config: Config, use: (temporal: Temporal) => Promise<Answer>): Promise<Answer> {
  const temporal = await connectTemporal(temporalSettings(config, process.env), null);
  try {
    return await use(temporal);
  } finally {
    await temporal.close();
  }
}

/** @throws {PgproofError} `cluster-unknown`, `schedule-unknown`, with what was perhaps meant. */
function schedulesOf(config: Config, cluster: string, name?: string): WantedSchedule[] {
  if (!Object.hasOwn(config.clusters, cluster)) throw unknown('cluster', cluster, Object.keys(config.clusters));
  const all = wantedSchedules(config).filter((schedule) => schedule.cluster === cluster);
  const named = all.filter((schedule) => name === undefined || schedule.name === name);
  if (named.length > 0 || (name === undefined && all.length === 0)) return named;
  const names = all.map((schedule) => schedule.name);
  throw unknown('schedule', name as string, names);
}

function unknown(what: 'cluster' | 'schedule', name: string, known: string[]): PgproofError {
  const meant = nearest(name, known);
  return new PgproofError(
    `${what}-unknown`,
    `the configuration has no ${what} '${name}' (it has: ${known.join(', ') || 'none'})`,
    {
      facts: { [what]: name, known },
      hint: meant === undefined ? 'Give one of these names.' : `Did you mean '${meant}'?`,
    },
  );
}
