import { Command, Option } from 'commander';
import { PgproofError } from '../core/errors.ts';
import { drillKinds, drillRequest } from '../core/request.ts';
import { reportedDrill } from '../drill/report.ts';
import { operate, operationOptions } from './operation.ts';
import { type Answer, type Session, verb } from './session.ts';

export const drillVerb = (): Command =>
  operationOptions(new Command('drill'))
    .description(
      'proves that the cluster can be restored, to a point between two markers, or that a dump can; exit 3 when it cannot, 1 when nothing was proven',
    )
    .argument('<cluster>')
    .addOption(new Option('--kind <kind>', 'what is restored').choices(drillKinds).default('probe'))
    .option('--dump <id>', 'of kind dump: this one, by its id or a unique beginning; default: the newest')
    .option('--database <name>', 'of kind dump: the newest of this database')
    .action(verb(drill));

function drill(session: Session, cluster: string): Promise<Answer> {
  const asked = drillRequest.pick({ kind: true, dump: true, database: true }).parse(session.options);
  const { kind, dump, database } = asked;
  if (dump !== null && database !== null) throw excluding('--dump and --database exclude each other');
  if (kind !== 'dump' && (dump !== null || database !== null))
    throw excluding('--dump and --database are for --kind dump');
  const flags = [
    kind === 'probe' ? '' : ` --kind ${kind}`,
    dump === null ? '' : ` --dump ${dump}`,
    database === null ? '' : ` --database '${database}'`,
  ];
  return operate(session, {
    operation: 'drill',
    cluster,
    more: asked,
    typed: `pgproof drill ${cluster}${flags.join('')}`,
    offline: (opened, who) => reportedDrill(opened, { ...asked, ...who }, session.run, null),
  });
}

const excluding = (message: string): PgproofError => new PgproofError('usage', message);
