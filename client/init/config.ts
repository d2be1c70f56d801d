import { mkdir, open, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Document, isMap, isScalar } from 'yaml';
import { PgproofError } from '../../core/errors.ts';
import type { Strategy } from '../../core/strategy/strategy.ts';
import { parseConfig } from '../../host/config.ts';
import { defaultStateDir } from '../../host/paths.ts';
import { unwritable } from '../../repository/private-file-write.ts';
import { asBefore } from './old-work.ts';
import type { InitPlan } from './plan.ts';
import type { Setting } from './settings.ts';

/** A commented configuration for one cluster; everything left out has its default (docs/configuration.md). */
export function configText(plan: InitPlan, chosen: Strategy, timezone: string): string {
  const { cluster, host, connection, repositories, keyFile, old } = plan;
  const strategy = old === null ? chosen : asBefore(chosen, old.work);
  const { retention, dumpRetention } = strategy;
  const schedules = Object.entries(strategy.schedules);
  const document = new Document({
    timezone,
    hosts: { [host]: { state: defaultStateDir() } }, // said, because a service and a person may have other environments
    repositories: Object.fromEntries(repositories.map(({ name, section }) => [name, section])),
    ...(keyFile === null ? {} : { keys: { [cluster]: { file: keyFile } } }),
    clusters: {
      [cluster]: {
        host,
        connection,
        ...(old?.work.tools === undefined ? {} : { tools: old.work.tools }),
        repositories: repositories.map(({ name }) => name),
        ...(keyFile === null ? {} : { key: cluster }),
        objectives: strategy.objectives.value,
        retention: { ...retention.value, dumps: dumpRetention.value },
        ...(old?.work.dumps === undefined ? {} : { dumps: old.work.dumps }),
        schedules: Object.fromEntries(schedules.map(([name, { value }]) => [name, value])),
      },
    },
  });
  const say = (path: readonly string[], ...sentences: string[]) => comment(document, path, sentences);
  say(['timezone'], 'What the times of schedules mean.');
  say(['clusters', cluster, 'objectives'], strategy.objectives.why);
  say(['clusters', cluster, 'retention'], retention.why, 'Nothing is deleted but by `pgproof expire`.');
  say(['clusters', cluster, 'retention', 'dumps'], dumpRetention.why);
  if (old?.work.dumps !== undefined) say(['clusters', cluster, 'dumps'], 'What the old scripts dumped.');
  say(['clusters', cluster, 'schedules'], `\`pgproof schedules apply\` brings them to Temporal.`);
  for (const [name, { why }] of schedules) say(['clusters', cluster, 'schedules', name], why);
  document.commentBefore = lines([
    'pgproof. Every key is described in docs/configuration.md.',
    `The strategy is ${strategy.why}`,
    ...strategy.notes,
  ]);
  if (old !== null) document.comment = oldComment(old);
  return document.toString({ lineWidth: 0 });
}

/** What the old scripts had and nothing here does: each by its name, so that nobody believes it in force. */
function oldComment({ file, settings }: { file: string; settings: readonly Setting[] }): string {
  const kept = settings.filter(({ became }) => became === 'comment');
  if (kept.length === 0) return lines([`Taken over from ${file}, all of it.`]);
  return lines([
    `Taken over from ${file}. NOT IN FORCE, because nothing here does the same:`,
    ...kept.map(({ name, value, text }) => `  ${name}${value === null ? '' : `=${value}`}: ${text}`),
  ]);
}

const lines = (sentences: readonly string[]): string => sentences.map((sentence) => ` ${sentence}`).join('\n');

/** Above the key at the path. */
function comment(document: Document, path: readonly string[], sentences: readonly string[]): void {
  const map = document.getIn(path.slice(0, -1), true);
  const pair = isMap(map) ? map.items.find(({ key }) => isScalar(key) && key.value === path.at(-1)) : undefined;
  if (isScalar(pair?.key)) pair.key.commentBefore = lines(sentences);
}

/**
 * Writes the file unless it is there; one that is there must know the cluster, because we never edit what a person wrote.
 * @throws {PgproofError} `config-exists` with the lines to add.
 */
export async function writeConfigOnce(path: string, text: string, cluster: string): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true });
    const file = await open(path, 'wx', 0o644);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (error) {
    const { code, syscall } = error as NodeJS.ErrnoException;
    if (code === undefined || syscall === undefined) throw error;
    if (code !== 'EEXIST') throw unwritable(path, code, error);
    const config = parseConfig(path, await readFile(path, 'utf8'));
    if (Object.hasOwn(config.clusters, cluster)) return;
    throw new PgproofError('config-exists', `'${path}' is there and does not have the cluster '${cluster}'`, {
      facts: { path, cluster },
      hint: `Add what belongs to it, then run this again:\n${text}`,
    });
  }
}
