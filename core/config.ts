import * as z from 'zod';
import { cluster } from './config/cluster.ts';
import { host } from './config/host.ts';
import { repository } from './config/repository.ts';
import { repositoryProblems } from './config/schedules.ts';
import { reportSink } from './config/sink.ts';
import { absolutePath, name, port, timezone } from './config/values.ts';
import { writtenNames } from './written.ts';

/*
 * The whole configuration, declared once: validation, defaults and docs/configuration.md are made from this schema.
 * Every key has one reader; unknown keys are errors.
 */

const key = z.strictObject({
  file: absolutePath.describe('The key file, made by `pgproof key generate`; mode 0600.'),
});

const embedded = z.strictObject({
  port: port.default(7243).describe('Port of the embedded server of `pgproof up`, on 127.0.0.1.'),
  uiPort: port.default(8243).describe('Port of its web UI, on 127.0.0.1.'),
});

const names = <T extends z.ZodType>(value: T) => z.record(name, value);

export const configSchema = z
  .strictObject({
    fleet: name
      .default('main')
      .describe(
        'Name of the fleet: queues and schedules are named after it, and clusters belong to it. Another name later: delete its schedules first (`schedules apply --yes` without any), then `owner take` for each cluster.',
      ),
    timezone: timezone.default('UTC').describe('What days, weeks and the times of schedules are reckoned in.'),
    hosts: names(host).describe('The machines of the fleet.'),
    repositories: names(repository).describe('Where backups live.'),
    keys: names(key).default({}).describe('Key files of this host.'),
    clusters: names(cluster).describe('The PostgreSQL clusters to protect.'),
    reportSink: reportSink.optional(),
    temporal: z
      .strictObject({
        embedded: embedded.prefault({}),
        codec: name
          .optional()
          .describe(
            'Name of the key that seals what Temporal keeps: inputs, results, progress, failures. The same on every machine of the fleet; best one of its own. Without it: in the clear.',
          ),
      })
      .prefault({})
      .describe(
        'Temporal: the embedded server, and how payloads are written. For a server of your own, set TEMPORAL_ADDRESS or a Temporal profile; it wins.',
      ),
  })
  .superRefine((config, context) => {
    const { codec } = config.temporal;
    if (codec !== undefined && !Object.hasOwn(config.keys, codec))
      context.addIssue({
        code: 'custom',
        path: ['temporal', 'codec'],
        message: `'${codec}' is not defined under keys`,
        params: { isSentence: true },
        input: codec,
      });
    for (const [clusterName, value] of Object.entries(config.clusters)) {
      const refer = (path: string, kind: 'hosts' | 'repositories' | 'keys', target: string) => {
        if (Object.hasOwn(config[kind], target)) return;
        context.addIssue({
          code: 'custom',
          path: ['clusters', clusterName, path],
          message: `'${target}' is not defined under ${kind}`,
          params: { isSentence: true },
          input: target,
        });
      };
      for (const target of value.host) refer('host', 'hosts', target);
      for (const target of Object.keys(value.retention.repositories)) {
        if (value.repositories.includes(target)) continue;
        context.addIssue({
          code: 'custom',
          path: ['clusters', clusterName, 'retention', 'repositories', target],
          message: `'${target}' is none of the cluster's repositories (${value.repositories.join(', ')})`,
          params: { isSentence: true },
          input: target,
        });
      }
      for (const { path, message, input } of repositoryProblems(value.schedules, value.repositories))
        context.addIssue({
          code: 'custom',
          path: ['clusters', clusterName, 'schedules', ...path],
          message,
          params: { isSentence: true },
          input,
        });
      for (const target of value.repositories) refer('repositories', 'repositories', target);
      if (value.key !== undefined) refer('key', 'keys', value.key);
      if (value.walKey !== undefined) refer('walKey', 'keys', value.walKey);
      const written = writtenNames(value);
      for (const target of value.required ?? []) {
        if (written.includes(target)) continue;
        context.addIssue({
          code: 'custom',
          path: ['clusters', clusterName, 'required'],
          message: `'${target}' is none of the repositories that are written to (write: ${value.write}: ${written.join(', ')})`,
          input: target,
        });
      }
      if (value.walKey !== undefined && value.key === undefined)
        context.addIssue({
          code: 'custom',
          path: ['clusters', clusterName, 'walKey'],
          message: 'needs key: a cluster whose backups are not encrypted has no separate key for its WAL',
          params: { isSentence: true },
          input: value.walKey,
        });
    }
  });

export type Config = z.output<typeof configSchema>;
export type ClusterConfig = Config['clusters'][string];
export type ConnectionConfig = ClusterConfig['connection'];
export type SinkConfig = NonNullable<Config['reportSink']>;
export type RepositoryConfig = Config['repositories'][string];
export type OssConfig = Extract<RepositoryConfig, { type: 'oss' }>;
export type S3Config = Extract<RepositoryConfig, { type: 's3' }>;
export type BucketConfig = OssConfig | S3Config;
export type DrillCheckConfig = ClusterConfig['drills']['checks'][number];
export type RetentionConfig = ClusterConfig['retention'];
export type DumpRetentionConfig = RetentionConfig['dumps'];
export type ScheduleConfig = ClusterConfig['schedules'][string];
