import { Command } from 'commander';
import { check, type Finding } from '../check/check.ts';
import type { StorePolicy } from '../check/policy/document.ts';
import { noBucket, policyOf } from '../check/policy/policy.ts';
import type { RepositoryConfig } from '../core/config.ts';
import type { Host } from '../host/host.ts';
import { clusterConfig } from '../host/lookup.ts';
import { locationOf } from '../repository/location.ts';
import { type Answer, type Session, verb } from './session.ts';

export const checkVerb = (): Command =>
  new Command('check')
    .description(
      'whether a cluster can be backed up and its WAL kept, with what mends each finding; sends a real segment through; exit 3 on a problem',
    )
    .argument('<cluster>')
    .option(
      '--policy',
      "asks nothing: prints the least rights that the repositories' buckets must give, a lifecycle rule, and what to know of versioning and locks",
    )
    .action(verb(run));

async function run(session: Session, name: string): Promise<Answer> {
  if (session.options.policy === true) return policies(await session.host(), name);
  const cluster = await session.cluster(name);
  const findings = await check(cluster, { signal: session.signal });
  const problems = findings.filter(({ status }) => status === 'problem').length;
  return {
    json: { cluster: name, problems, findings },
    text: render(name, findings, problems),
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

const marks = { ok: 'ok      ', warning: 'WARNING ', problem: 'PROBLEM ' } as const;

function render(name: string, findings: readonly Finding[], problems: number): string {
  const lines = findings.flatMap(({ status, name: what, detail, fix }) => [
    `${marks[status]} ${what}: ${detail}`,
    ...(fix === null || status === 'ok'
      ? []
      : fix
          .trimEnd()
          .split('\n')
          .map((line) => `             ${line}`)),
  ]);
  const warnings = findings.filter(({ status }) => status === 'warning').length;
  return [
    ...lines,
    '',
    `${name}: ${count(problems, 'problem')}, ${count(warnings, 'warning')}, ${findings.length} checks`,
  ].join('\n');
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}
