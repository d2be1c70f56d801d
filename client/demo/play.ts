import type { ConnectionConfig } from '../../core/config.ts';
import type { Report } from '../../core/report.ts';
import { withClient } from '../../postgres/client.ts';
import type { WalStatus } from '../../wal/status.ts';
import type { Setup } from '../init/plan.ts';
import type { Session } from '../session.ts';
import { type Cli, cliWith } from './cli.ts';
import { fillDatabase, startLoad } from './load.ts';
import { addSettings, makeCluster, newestTools, startThrowaway } from './server.ts';
import { addPorts, type Stage } from './stage.ts';
import { startUp } from './up.ts';

export const clusterName = 'shop';
const hostName = 'demo';

/** A report as the verbs answer it under --json: with the place of its file. */
export type FiledJson = Report & { reportFile: string };

export type Played = {
  backup: FiledJson;
  drill: FiledJson;
  wal: WalStatus;
  orders: number;
  toolsBin: string;
  upPid: number;
};

/**
 * The main job on a throwaway cluster. Without `keep` nothing runs any more when it returns or throws; with `keep`, a
 * story that ended well leaves its server and `pgproof up` running.
 */
export async function play(session: Session, stage: Stage, keep: boolean): Promise<Played> {
  const { say, signal } = session;
  const cli = cliWith(stage, hostName, signal);
  const tools = await newestTools();
  const superuser: ConnectionConfig = { socket: stage.socketDir, port: 5432, user: 'postgres', database: 'postgres' };
  const running: { stop(): Promise<void> }[] = [];
  const keeping = (): boolean => keep && !signal.aborted;
  let well = false;
  try {
    say(`1/6  a throwaway cluster, PostgreSQL ${tools.major}`);
    await makeCluster(tools, stage, signal);
    let server = await startThrowaway(tools, stage, keep, signal);
    running.push({ stop: () => server.stop() });

    say('2/6  pgproof init: configuration, key, repository, a role with few rights');
    const setup = await initialise(cli, stage);
    await withClient(superuser, (client) => client.query(setup.roleSql), { signal });
    await addSettings(stage, Object.fromEntries(setup.settings.map(({ name, proposed }) => [name, proposed])));
    await server.stop();
    server = await startThrowaway(tools, stage, keep, signal);

    await cli(['heartbeat', 'install', clusterName], { timeoutSeconds: 60 });
    await fillDatabase(superuser, signal);

    say('3/6  pgproof up: Temporal, worker, WAL shipping');
    const up = await startUp(stage, hostName, keep, signal);
    running.push(up);

    say('4/6  pgproof backup, while orders come in');
    const load = startLoad(superuser, signal);
    const backup = await cli<FiledJson>(['backup', clusterName, '--reason', 'demo'], { timeoutSeconds: 600 });
    say('5/6  pgproof drill: restores beside the primary to a point between two markers, and asks');
    const drill = await cli<FiledJson>(['drill', clusterName, '--reason', 'demo'], { timeoutSeconds: 600 });
    const { orders } = await load.stop();
    const wal = await cli<WalStatus>(['wal', 'status', clusterName], { timeoutSeconds: 60 });
    well = true;
    return { backup, drill, wal, orders, toolsBin: tools.bin, upPid: up.pid };
  } finally {
    if (!(well && keeping())) {
      say('6/6  stopping what was started');
      for (const part of running.reverse()) await part.stop();
    }
  }
}

async function initialise(cli: Cli, stage: Stage): Promise<Setup> {
  const setup = await cli<Setup>(
    ['init', clusterName, '--socket', stage.socketDir, '--repository', stage.repository, '--key', stage.keyFile],
    { timeoutSeconds: 60 },
  );
  await addPorts(stage);
  return setup;
}
