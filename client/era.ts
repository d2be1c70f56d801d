import { Command } from 'commander';
import { writtenNames } from '../core/written.ts';
import { repositoriesToWrite } from '../postgres/cluster.ts';
import { inspectServer } from '../postgres/server.ts';
import { declareEraInAll } from '../repository/eras.ts';
import { type Answer, type Session, verb } from './session.ts';

export const eraVerb = (): Command =>
  new Command('era')
    .description('eras: one initialised data directory each')
    .addCommand(
      new Command('new')
        .description(
          'declares the server that the configuration names as the cluster from now on; after initdb or pg_upgrade',
        )
        .argument('<cluster>')
        .action(verb(declare)),
    );

async function declare(session: Session, name: string): Promise<Answer> {
  const cluster = await session.cluster(name);
  const facts = await inspectServer(cluster.config.connection, { signal: session.signal });
  const repositories = repositoriesToWrite(cluster);
  const { era, broughtTo } = await declareEraInAll(repositories, cluster, facts, { signal: session.signal });
  const away = writtenNames(cluster.config).filter(
    (one) => !repositories.some((repository) => repository.name === one),
  );
  const text = [
    `era ${era.era} of ${name} begins on timeline ${era.timeline} at ${era.startLsn}`,
    ...(cluster.config.repositories.length > 1 ? [`declared in ${broughtTo.join(', ')}`] : []),
    ...away.map((one) => `NOT declared in ${one}, which is away: run this again when it is there`),
  ];
  return { json: era, text: text.join('\n') };
}
