import { join } from 'node:path';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { configSchema } from '../../core/config.ts';
import { runHost } from '../../workers/host.ts';
import { temporalSettings } from '../../workers/temporal.ts';
import { tempDir } from '../support/temp.ts';
import { freePorts, noTemporalEnv } from '../support/temporal.ts';

test('a host whose Temporal cannot be reached begins to ship, and asks for Temporal again and again; the heart beats without a repository', async () => {
  const folder = tempDir();
  const lines: string[] = [];
  const seen = Promise.withResolvers<void>();
  const count = (words: string): number => lines.filter((line) => line.includes(words)).length;
  const write = (line: string): void => {
    lines.push(line);
    const asked = [
      'WAL shipping stopped: there is no repository',
      'the heartbeat stopped: no connection to the PostgreSQL server',
    ];
    if (asked.every((words) => count(words) > 0) && count('cannot serve Temporal') > 1) seen.resolve();
  };
  const config = configSchema.parse({
    hosts: { 'db-7': {} },
    repositories: { local: { type: 'file', path: join(folder, 'not-mounted-yet') } },
    clusters: { shop: { host: 'db-7', connection: { socket: folder }, repositories: ['local'] } },
    temporal: { embedded: await freePorts() },
  });
  const host = {
    config,
    configFile: join(folder, 'pgproof.yaml'),
    name: 'db-7',
    stateDir: join(folder, 'state'),
    log: pino({ level: 'error' }, { write }),
  };
  const ended = new AbortController();
  const temporal = temporalSettings(config, noTemporalEnv);
  const running = runHost({ host, temporal, signal: ended.signal });
  try {
    await Promise.race([seen.promise, running.then(() => expect.unreachable('it goes on'))]);
  } finally {
    ended.abort();
    await running.catch(() => {});
  }
});
