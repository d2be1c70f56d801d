import { runDrill } from '../../drill/drill.ts';
import { openCluster } from '../../host/cluster.ts';
import { openHost } from '../../host/host.ts';
import { silent } from '../support/temporal.ts';
import { withChecks } from './protected.ts';

/** A process that drills, and hangs in a check until it is killed. It says each phase on a line of its own. */
const [configFile] = process.argv.slice(2);
const host = await openHost({ configFile, host: 'db-7', log: silent });
const cluster = await openCluster(host, 'shop');
const never = new AbortController().signal;
const say = ({ phase }: { phase: string }): void => void process.stdout.write(`${phase}\n`);
await runDrill(
  withChecks(cluster, { hang: 'SELECT pg_sleep(3600) IS NULL' }),
  { kind: 'probe' },
  { signal: never, progress: say },
);
