import { resolve } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { parseTarget } from '../core/target.ts';
import { reported } from '../report/file.ts';
import { planRestore } from '../restore/plan.ts';
import { startRestore } from '../restore/start.ts';
import { operate, operationOptions } from './operation.ts';
import { renderPlan } from './restore-text.ts';
import { type Answer, type Session, verb } from './session.ts';

export const restoreVerb = (): Command =>
  new Command('restore')
    .description('restores: first a plan that says everything, then its execution')
    .addCommand(
      new Command('plan')
        .description('decides a restore in every detail, refuses what would fail, writes nothing but the plan')
        .argument('<cluster>')
        .requiredOption(
          '--to <target>',
          'a time with its offset or zone, latest, immediate, lsn:X/X, xid:N, name:TEXT, backup:ID',
        )
        .requiredOption('--into <folder>', 'the data directory to be: empty or absent')
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
        .action(verb(start)),
    );

async function plan(session: Session, name: string): Promise<Answer> {
  const { options } = session;
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
  return { json: made, text: renderPlan(made) };
}

async function start(session: Session, cluster: string, planId: string): Promise<Answer> {
  const { name: host } = await session.host(); // the plan lies here, and the cluster may have other hosts
  return operate(session, {
    operation: 'restore',
    cluster,
    more: { plan: planId, host },
    typed: `pgproof restore start ${cluster} ${planId}`,
    offline: (opened, asked) =>
      reported(opened, { operation: 'restore', workflow: null, ...asked }, async () => ({
        status: 'SUCCESS',
        result: await startRestore(opened, planId, session.run),
      })),
  });
}

function timeline(text: string): number {
  if (/^[1-9]\d{0,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('a timeline is a number from 1.');
}
