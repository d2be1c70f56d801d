import { sectionHash } from '../activities/section-hash.ts';
import { attempt, problem } from '../check/finding.ts';
import type { ClusterConfig, Config } from '../core/config.ts';
import { hasCode, type PgproofError } from '../core/errors.ts';
import { inParallel } from '../core/parallel.ts';
import { hostQueues } from '../core/queues.ts';
import { machinesAt, twinsOf } from '../workers/machines.ts';
import { changeText, planSchedules } from '../workers/schedules/plan.ts';
import { temporalSettings } from '../workers/temporal.ts';
import type { ClusterCheck, HostCheck } from '../workflows/check.ts';
import { countsOf, findingLines } from './check-text.ts';
import { followRun } from './follow.ts';
import type { Answer, Session } from './session.ts';
import { connectTemporal, startOperation, type Temporal } from './temporal.ts';
import { table } from './text.ts';

/** A host of a cluster as it was found; a cluster that could not be asked at all is one row without a host. */
export type CheckedHost = Omit<HostCheck, 'host' | 'configHash'> & {
  cluster: string;
  host: string | null;
  /** The configurations of control worker and of this host that are not the one read here; null where nobody answered. */
  configDiffers: ('control worker' | 'host')[] | null;
  problems: number;
};

/** Clusters asked at the same time. */
const width = 32;

/**
 * Asks every host of every cluster through Temporal, and shows a table. A host that is away is a row, as is a cluster that the
 * control worker does not know.
 * @throws {PgproofError} `temporal-unreachable`; `worker-absent` when there is no control worker.
 */
export async function checkAll(session: Session): Promise<Answer> {
  const config = await session.config();
  const { signal } = session;
  const temporal = await connectTemporal(
    temporalSettings(config, process.env),
    'pgproof check CLUSTER, on the host of the cluster',
  );
  try {
    const rows = new Map<string, CheckedHost[]>();
    const ask = async (cluster: string): Promise<void> => {
      rows.set(cluster, await askCluster(temporal, config, cluster, signal));
    };
    const [first, ...others] = Object.keys(config.clusters);
    // Alone: where no control worker is, nothing else is left waiting for it.
    if (first !== undefined) await ask(first);
    await inParallel(others, { width, signal }, ask);
    const hosts = Object.keys(config.clusters).flatMap((cluster) => rows.get(cluster) as CheckedHost[]);
    const { changes } = await planSchedules(temporal.client, config, { signal });
    const schedules = changes.map((change) => ({ cluster: change.cluster, text: changeText(change) }));
    const isFine = schedules.length === 0 && hosts.every(isWell);
    return {
      json: { fleet: config.fleet, hosts, schedules },
      text: render(config, hosts, schedules),
      exitCode: isFine ? 0 : 3,
    };
  } finally {
    await temporal.close();
  }
}

const isWell = ({ problem, problems, configDiffers }: CheckedHost): boolean =>
  problem === null && problems === 0 && configDiffers?.length === 0;

async function askCluster(
  temporal: Temporal,
  { fleet, clusters }: Config,
  cluster: string,
  signal: AbortSignal,
): Promise<CheckedHost[]> {
  const run = await startOperation(temporal, fleet, 'check', { cluster });
  try {
    const followed = await followRun<ClusterCheck>(temporal, run, { fleet, signal });
    if (followed.state === 'detached') throw signal.reason;
    const hosts = await Promise.all(followed.result.hosts.map((host) => withTwins(temporal, fleet, host, signal)));
    return hostsOf({ ...followed.result, hosts }, clusters[cluster] as ClusterConfig);
  } catch (error) {
    // Of this cluster alone; what is wrong with Temporal or the control worker is wrong for all.
    if (!hasCode(error, 'cluster-unknown', 'usage', 'timeout', 'internal')) throw error;
    return [unasked(cluster, error)];
  }
}

/** What no host can find by itself: that another machine has its name, too. */
async function withTwins(
  { connection, settings }: Temporal,
  fleet: string,
  check: HostCheck,
  signal: AbortSignal,
): Promise<HostCheck> {
  const queue = { namespace: settings.namespace, taskQueue: hostQueues(fleet, check.host).quick };
  const found = await attempt('host-twice', signal, async () => {
    const twins = twinsOf(check.host, await machinesAt(connection.workflowService, queue));
    return twins === null ? [] : [problem(twins.code, twins.message, twins.hint)];
  });
  return { ...check, findings: [...check.findings, ...found] };
}

function hostsOf({ cluster, configHash: control, hosts }: ClusterCheck, section: ClusterConfig): CheckedHost[] {
  const ours = sectionHash(section);
  return hosts.map(({ configHash, ...host }) => ({
    cluster,
    ...host,
    configDiffers:
      configHash === null
        ? null
        : [
            ...(control === ours ? [] : (['control worker'] as const)),
            ...(configHash === ours ? [] : (['host'] as const)),
          ],
    problems: host.findings.filter(({ status }) => status === 'problem').length,
  }));
}

function unasked(cluster: string, { code, message, hint }: PgproofError): CheckedHost {
  const nothing = { host: null, version: null, server: null, configDiffers: null, findings: [], problems: 0 };
  return { cluster, ...nothing, problem: { code, message, hint } };
}

type Drift = { cluster: string; text: string };

function render({ clusters }: Config, hosts: readonly CheckedHost[], schedules: readonly Drift[]): string {
  const drifting = (cluster: string): number => schedules.filter((each) => each.cluster === cluster).length;
  const rows = hosts.map(({ cluster, host, version, server, findings, problem, configDiffers }) => [
    cluster,
    host ?? '-',
    version ?? '-',
    server ?? '-',
    configDiffers === null ? '-' : configDiffers.length === 0 ? 'same' : 'DIFFERS',
    drifting(cluster) === 0 ? 'same' : `${drifting(cluster)} DIFFER`,
    problem === null ? countsOf(findings) : problem.code === 'worker-absent' ? 'AWAY' : problem.code.toUpperCase(),
  ]);
  const left = schedules.filter(({ cluster }) => !Object.hasOwn(clusters, cluster));
  return [
    table(['CLUSTER', 'HOST', 'VERSION', 'SERVER', 'CONFIG', 'SCHEDULES', 'FINDINGS'], rows),
    ...hosts.flatMap(details),
    ...(schedules.length === 0
      ? []
      : [
          '',
          'schedules: bring them together with `pgproof schedules apply`',
          ...schedules.map(({ text }) => `  ${text}`),
        ]),
    ...(left.length === 0 ? [] : [`  ${left.length} of them belong to clusters that this configuration does not have`]),
  ].join('\n');
}

/** What a person should look at; nothing where all is well. */
function details({ cluster, host, findings, problem, configDiffers }: CheckedHost): string[] {
  const wrong = findings.filter(({ status }) => status !== 'ok');
  const lines = [
    ...(problem === null
      ? []
      : [`PROBLEM  ${problem.message}`, ...(problem.hint === null ? [] : [`             ${problem.hint}`])]),
    ...(configDiffers ?? []).map(
      (who) =>
        `PROBLEM  configuration: the ${who}'s section of ${cluster} is not the one read here; deploy one of them everywhere, then start \`up\` or the worker there anew: it read its file when it started`,
    ),
    ...findingLines(wrong),
  ];
  return lines.length === 0 ? [] : ['', `${cluster}${host === null ? '' : ` on ${host}`}:`, ...lines];
}
