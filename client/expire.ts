import { Command } from 'commander';
import { expireCluster } from '../expire/cluster.ts';
import { reportedExpire } from '../expire/report.ts';
import { renderExpired } from '../report/render/expire.ts';
import { operate, operationOptions } from './operation.ts';
import { type Answer, type Session, verb } from './session.ts';

export const expireVerb = (): Command =>
  operationOptions(new Command('expire'))
    .description(
      'deletes what the retention of the configuration keeps no longer, and the WAL that nothing needs; exit 3 when a person has to confirm it',
    )
    .argument('<cluster>')
    .option('--dry-run', 'only say what would go and what would stay, each with its rule; needs no Temporal')
    .option('--repository <name>', 'only in this one; default all of the cluster')
    .option(
      '--yes',
      'also more than half of the backups, or of the dumps of a tier, and what a doubtful clock makes old',
    )
    .action(verb(expire));

async function expire(session: Session, cluster: string): Promise<Answer> {
  const { options } = session;
  const order = { repository: (options.repository as string | undefined) ?? null, confirmed: options.yes === true };
  if (options.dryRun === true) return preview(session, cluster, order);
  const only = order.repository === null ? '' : ` --repository ${order.repository}`;
  return operate(session, {
    operation: 'expire',
    cluster,
    more: order,
    typed: `pgproof expire ${cluster}${only}${order.confirmed ? ' --yes' : ''}`,
    offline: async (opened, asked) => {
      const { timezone } = (await session.host()).config;
      return reportedExpire(opened, { ...order, ...asked, timezone }, session.run, null);
    },
  });
}

async function preview(
  session: Session,
  name: string,
  { repository, confirmed }: { repository: string | null; confirmed: boolean },
): Promise<Answer> {
  const { timezone } = (await session.host()).config;
  const cluster = await session.cluster(name);
  const result = await expireCluster(cluster, repository, { timezone, confirmed, dryRun: true }, session.run);
  const isRefused = !confirmed && result.repositories.some(({ refusals }) => refusals.length > 0);
  const isFailed = result.repositories.some(({ error }) => error !== null);
  return {
    json: { cluster: name, dryRun: true, ...result },
    text: [`expire of ${name}, dry run`, ...result.repositories.map(renderExpired), rulesOfThisFile].join('\n\n'),
    exitCode: isFailed ? 1 : isRefused ? 3 : 0,
  };
}

const rulesOfThisFile =
  'By the rules of this configuration. A worker has those that it was started with: after a change start it anew.';
