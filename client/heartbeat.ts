import { Command } from 'commander';
import { installHeartbeat } from '../wal/heartbeat.ts';
import { type Answer, type Session, verb } from './session.ts';

export const heartbeatVerb = (): Command =>
  new Command('heartbeat')
    .description('the row that RPO is measured with')
    .addCommand(
      new Command('install')
        .description('makes schema pgproof and its tables in the configured database; running it twice changes nothing')
        .argument('<cluster>')
        .action(verb(install)),
    );

async function install(session: Session, name: string): Promise<Answer> {
  const cluster = await session.cluster(name);
  await installHeartbeat(cluster);
  const { database } = cluster.config.connection;
  return {
    json: { cluster: name, database, schema: 'pgproof' },
    text: `schema pgproof is ready in database '${database}' of ${name}`,
  };
}
