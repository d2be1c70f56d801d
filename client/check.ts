import { Command } from 'commander';
import { check } from '../check/check.ts';
import type { StorePolicy } from '../check/policy/document.ts';
import { noBucket, policyOf } from '../check/policy/policy.ts';
import type { RepositoryConfig } from '../core/config.ts';
import { PgproofError } from '../core/errors.ts';
import type { Host } from '../host/host.ts';
import { clusterConfig } from '../host/lookup.ts';
import { locationOf } from '../repository/location.ts';
import { countsOf, findingLines } from './check-text.ts';
import { type Answer, type Session, verb } from './session.ts';

export const checkVerb = (): Command =>
  new Command('check')
    .description(
      'whether a cluster can be backed up and its WAL kept, with what mends each finding; sends a real segment through; exit 3 on a problem',
    )
    .argument('[cluster]', 'on its own host; needs no Temporal')
    .option('--all', 'each host of each cluster, through Temporal: a table')
    .option(
      '--policy',
      "asks nothing: prints the least rights that the repositories' buckets must give, a lifecycle rule, and what to know of versioning and locks",
    )
    .action(verb(run));

async function run(session: Session, name?: string): Promise<Answer> {
  const { all, policy } = session.options;
  if (all === true && name === undefined && policy !== true) return (await import('./check-all.ts')).checkAll(session);
  if (all === true || name === undefined)
    throw new PgproofError('usage', 'give one of: a cluster, or --all', {
      hint: 'pgproof check shop, on its host · pgproof check --all, from anywhere',
    });
  if (policy === true) return policies(await session.host(), name);
  const cluster = await session.cluster(name);
  const findings = await check(cluster, { signal: session.signal });
  const problems = findings.filter(({ status }) => status === 'problem').length;
  return {
    json: { cluster: name, problems, findings },
    text: [...findingLines(findings), '', `${name}: ${countsOf(findings)}`].join('\n'),
    exitCode: problems === 0 ? 0 : 3,
  };
}

/** From the configuration alone: it must work before anybody has rights. */
function policies(host: Host, cluster: string): Answer {
  const config = clusterConfig(host, cluster);
  const repositories = config.repositories.flatMap((repository) => {
    const store = host.config.repositories[repository] as RepositoryConfig;
    return store.type === 'file' ? [] : [{ repository, location: locationOf(store), ...policyOf(store) }];
  });
  if (repositories.length === 0) throw noBucket(cluster);
  return { json: { cluster, repositories }, text: repositories.map(renderPolicy).join('\n\n') };
}

function renderPolicy({
  repository,
  location,
  writer,
  restore,
  lifecycle,
  advice,
}: StorePolicy & { repository: string; location: string }): string {
  return [
    `Repository ${repository}, ${location}`,
    '',
    'Policy of a host that writes:',
    JSON.stringify(writer, null, 2),
    '',
    'Policy of a host that only lists, verifies and restores:',
    JSON.stringify(restore, null, 2),
    '',
    `Lifecycle rule, as lifecycle.${lifecycle.format} for: ${lifecycle.command}`,
    lifecycle.document.trimEnd(),
    '',
    ...advice.map((sentence) => `* ${sentence}`),
  ].join('\n');
}
