import { resolve } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { plannedRestore } from '../activities/planned.ts';
import { PgproofError } from '../core/errors.ts';
import { parseTarget } from '../core/target.ts';
import { reported } from '../report/file.ts';
import { planRestore } from '../restore/plan.ts';
import { operate, operationOptions } from './operation.ts';
import { damageNotes } from './plan-damage.ts';
import { confirmOnHost, dumpPlanOptions, planDump } from './restore-dump.ts';
import { renderPlan } from './restore-text.ts';
import { type Answer, type Session, verb } from './session.ts';

export const restoreVerb = (): Command =>
  new Command('restore')
    .description('restores: first a plan that says everything, then its execution')
    .addCommand(
      dumpPlanOptions(new Command('plan'))
        .description('decides a restore in every detail, refuses what would fail, writes nothing but the plan')
        .argument('<cluster>')
        .option(
          '--to <target>',
          'a time with its offset or zone, latest, immediate, lsn:X/X, xid:N, name:TEXT, backup:ID',
        )
        .option('--into <folder>', 'the data directory to be: empty or absent')
        .option('--backup <id>', 'start from this backup; default: the newest that ends before the target')
        .option('--exclusive', 'stop before the target, not behind it (time, lsn, xid)')
        .option('--timeline <number>', 'follow this timeline; default: the newest', timeline)
        .option('--offline', 'accepted for symmetry: a plan never needs Temporal')
        .action(verb(plan)),
    )
    .addCommand(
      operationOptions(new Command('start'))
        .description('carries out a plan; run it again to go on after an interruption')
        .argument('<cluster>')
        .argument('<plan>', 'its id, as `restore plan` printed it')
        .option(
          '--confirm <database>',
          'the name of the database that is there and will be changed; of the cluster whose server takes a whole dump',
        )
        .action(verb(start)),
    );

async function plan(session: Session, name: string): Promise<Answer> {
  const { options } = session;
  if (options.dump !== undefined) return planDump(session, name);
  refuseIncomplete(options);
  const target = parseTarget(options.to as string, {
    inclusive: options.exclusive !== true,
    timeline: (options.timeline as number | undefined) ?? null,
  });
  const cluster = await session.cluster(name);
  const request = {
    target,
    into: resolve(options.into as string),
    ...(options.backup === undefined ? {} : { backup: options.backup as string }),
  };
  const made = await planRestore(cluster, request, session.run);
  const told = { ...made, notes: [...made.notes, ...(await damageNotes(cluster, made, session.signal))] };
  return { json: told, text: renderPlan(told) };
}

async function start(session: Session, cluster: string, planId: string): Promise<Answer> {
  const opened = await session.host();
  const { name: host } = opened; // the plan lies here, and the cluster may have other hosts
  await confirmOnHost(session, cluster, planId);
  return operate(session, {
    operation: 'restore',
    cluster,
    more: { plan: planId, host },
    typed: `pgproof restore start ${cluster} ${planId}`,
    offline: async (protectedCluster, asked) => {
      const planned = await plannedRestore(opened, protectedCluster, planId);
      const order = { operation: 'restore' as const, workflow: null, ...asked, ...planned.order };
      return reported(protectedCluster, order, () => planned.carryOut(session.run));
    },
  });
}

/** Of a restore of files: commander cannot demand what a dump has no use for. */
function refuseIncomplete(options: Session['options']): void {
  const ofDumps = ['database', 'server', 'user', 'existing', 'table', 'schema', 'select', 'list', 'globals', 'jobs'];
  const stray = ofDumps.find((option) => options[option] !== undefined);
  if (stray !== undefined) throw new PgproofError('usage', `--${stray} is of a dump: say which one by --dump`);
  const missing = options.to === undefined ? '--to <target>' : options.into === undefined ? '--into <folder>' : null;
  if (missing === null) return;
  throw new PgproofError('usage', `required option '${missing}' not specified`, {
    hint: 'A point in time: --to TARGET --into FOLDER. A dump: --dump ID --database NAME; of globals or a whole server: --dump ID --server CLUSTER.',
  });
}

function timeline(text: string): number {
  if (/^[1-9]\d{0,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('a timeline is a number from 1.');
}
