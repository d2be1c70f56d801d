import { Command } from 'commander';
import { reportedCopy } from '../copy/report.ts';
import { operate, operationOptions } from './operation.ts';
import { type Answer, type Session, verb } from './session.ts';

export const copyVerb = (): Command =>
  operationOptions(new Command('copy'))
    .description(
      'brings what the other repositories lack, as stored and checked; says how far they are behind; exit 3 when something in the source is damaged',
    )
    .argument('<cluster>')
    .option('--to <repository>', 'only to this one; default all others of the cluster')
    .option('--from <repository>', 'from this one; default the nearest')
    .action(verb(copy));

function copy(session: Session, cluster: string): Promise<Answer> {
  const route = {
    to: (session.options.to as string | undefined) ?? null,
    from: (session.options.from as string | undefined) ?? null,
  };
  const flags = Object.entries(route).flatMap(([name, value]) => (value === null ? [] : [` --${name} ${value}`]));
  return operate(session, {
    operation: 'copy',
    cluster,
    more: route,
    typed: `pgproof copy ${cluster}${flags.join('')}`,
    offline: (opened, asked) => reportedCopy(opened, { ...route, ...asked }, session.run, null),
  });
}
