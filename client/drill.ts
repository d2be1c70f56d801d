import { Command } from 'commander';
import { reportedDrill } from '../drill/report.ts';
import { operate, operationOptions } from './operation.ts';
import { type Answer, type Session, verb } from './session.ts';

export const drillVerb = (): Command =>
  operationOptions(new Command('drill'))
    .description(
      'proves that the cluster can be restored, to a point between two markers; exit 3 when it cannot, 1 when nothing was proven',
    )
    .argument('<cluster>')
    .action(verb(drill));

function drill(session: Session, cluster: string): Promise<Answer> {
  return operate(session, {
    operation: 'drill',
    cluster,
    typed: `pgproof drill ${cluster}`,
    offline: (opened, asked) => reportedDrill(opened, { kind: 'probe', ...asked }, session.run, null),
  });
}
