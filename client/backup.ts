import { Command } from 'commander';
import { placesOf, takeBackup } from '../backup/backup.ts';
import { backupOutcome } from '../report/backup.ts';
import { reported } from '../report/file.ts';
import { operate, operationOptions } from './operation.ts';
import { type Answer, type Session, verb } from './session.ts';

export const backupVerb = (): Command =>
  operationOptions(new Command('backup'))
    .description(
      'a full base backup; done means copied, verified while it streamed, and all the WAL it needs is in the repository',
    )
    .argument('<cluster>')
    .action(verb(backup));

function backup(session: Session, cluster: string): Promise<Answer> {
  return operate(session, {
    operation: 'backup',
    cluster,
    typed: `pgproof backup ${cluster}`,
    offline: (opened, asked) =>
      reported(opened, { operation: 'backup', workflow: null, ...asked }, async (started) => {
        const record = await takeBackup(opened, session.run);
        return backupOutcome(record, started, await placesOf(opened, record));
      }),
  });
}
