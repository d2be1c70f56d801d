import { Command, InvalidArgumentError } from 'commander';
import { leastShare } from '../core/request.ts';
import { reportedVerify, type VerifyAsked } from '../verify/verify.ts';
import { operate, operationOptions } from './operation.ts';
import { type Answer, type Session, verb } from './session.ts';

export const verifyVerb = (): Command =>
  operationOptions(new Command('verify'))
    .description(
      'reads back what the repositories hold, and names what is damaged, missing or foreign; exit 3 with damage, 1 when something could not be looked at',
    )
    .argument('<cluster>')
    .option('--repository <name>', 'only this one; default: all of the cluster')
    .option('--share <percent>', 'read the bytes of so many percent of the objects, other ones each time', percent)
    .option(
      '--restore [id]',
      'unpack a backup into a scratch folder and run pg_verifybackup, or have pg_restore read a dump to its end; default: the newest backup, and the newest dump of each database',
    )
    .option('--repair', "replace what is damaged or missing by whole copies from the cluster's other repositories")
    .action(verb(verify));

function verify(session: Session, cluster: string): Promise<Answer> {
  const { repository, share, restore, repair } = session.options;
  const more: VerifyAsked = {
    repository: (repository as string | undefined) ?? null,
    share: (share as number | undefined) ?? 100,
    restore: restore !== undefined,
    backup: typeof restore === 'string' ? restore : null,
    repair: repair === true,
  };
  return operate(session, {
    operation: 'verify',
    cluster,
    more,
    typed: `pgproof verify ${cluster}`,
    offline: (opened, asked) => reportedVerify(opened, { ...more, ...asked }, session.run, null),
  });
}

function percent(text: string): number {
  const number = Number(text.replace(/%$/, ''));
  if (number >= leastShare && number <= 100) return number;
  throw new InvalidArgumentError(`a share is at least ${leastShare} % and at most 100 %.`);
}
