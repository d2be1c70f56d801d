import { isCancellation } from '@temporalio/workflow';
import type { Checked } from '../activities/check.ts';
import type { Resolved } from '../activities/control.ts';
import { checkRequest } from '../core/request.ts';
import { failureOf } from './failure.ts';
import { candidatesOf, namesOf, outdated, toPlace } from './greet.ts';
import { controlSteps, helloOn, quickOn } from './steps.ts';
import { mark, parse, tellState } from './story.ts';

/** What a host said of a cluster; what was not heard is null. */
export type HostCheck = Checked & {
  host: string;
  version: string | null;
  /** What its server is, where the cluster spans hosts. */
  server: 'primary' | 'standby' | 'down' | null;
  /** Of the cluster's section in the host's own configuration. */
  configHash: string | null;
  /** Why there are no findings: its worker is away, or could not look. */
  problem: { code: string; message: string; hint: string | null } | null;
};

/** @param configHash of the section in the control worker's configuration. */
export type ClusterCheck = { cluster: string; configHash: string; hosts: HostCheck[] };

/**
 * Asks each host of the cluster whether it can be backed up, all at the same time. Input: `{"cluster": "shop"}`. A host that is
 * away is an answer, and the workflow completes; no report is written.
 */
export async function check(input: unknown): Promise<ClusterCheck> {
  const { cluster } = parse(checkRequest, input);
  mark({ PgCluster: cluster, PgOperation: 'check' });
  try {
    const at = await controlSteps().resolve({ cluster, operation: 'check' });
    tellState(`asking ${namesOf(at)}`);
    const hosts = await Promise.all(candidatesOf(at).map((place) => askHost(toPlace(at, place))));
    tellState(hosts.map(verdictOf).join('; '));
    return { cluster, configHash: at.configHash, hosts };
  } catch (error) {
    throw isCancellation(error) ? error : failureOf(error, undefined);
  }
}

async function askHost(at: Resolved): Promise<HostCheck> {
  const { cluster, host } = at;
  let heard: HostCheck = { host, version: null, server: null, configHash: null, findings: [], problem: null };
  try {
    const { version, configHash, server, features } = await helloOn(at).hello({ cluster });
    heard = { ...heard, version, configHash, server: server?.role ?? null };
    if (!features.includes('check')) throw outdated('check', version, at);
    const { findings } = await quickOn(at, `check ${cluster}`, 1).runCheck({ cluster });
    return { ...heard, findings };
  } catch (error) {
    if (isCancellation(error)) throw error;
    const { type, message, details } = failureOf(error, at);
    const hint = (details?.[1] as string | null | undefined) ?? null;
    return { ...heard, problem: { code: type ?? 'internal', message, hint } };
  }
}

function verdictOf({ host, findings, problem }: HostCheck): string {
  const problems = findings.filter(({ status }) => status === 'problem').length;
  return `${host}: ${problem === null ? `${problems} problems, ${findings.length} checks` : problem.message}`;
}
