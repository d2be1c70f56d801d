import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import * as z from 'zod';
import { createProgram } from '../../client/program.ts';
import { durationSeconds } from '../../core/duration.ts';

/* No container engine runs where the tests run: syntax and references are what can be seen (docs/tested.md). */

const text = (name: string) => readFileSync(join(import.meta.dirname, '../..', name), 'utf8');

const service = z.strictObject({
  image: z.string().optional(),
  build: z.strictObject({ context: z.literal('.'), target: z.string() }).optional(),
  user: z.string().optional(),
  hostname: z.string().optional(),
  environment: z.record(z.string(), z.string()).optional(),
  entrypoint: z.array(z.string()).optional(),
  command: z.array(z.string()).optional(),
  depends_on: z
    .record(z.string(), z.strictObject({ condition: z.enum(['service_started', 'service_completed_successfully']) }))
    .optional(),
  init: z.boolean().optional(),
  ports: z.array(z.string().regex(/^127\.0\.0\.1:\d+:\d+$/, 'only for this machine')).optional(),
  restart: z.enum(['unless-stopped', 'always', 'no']).optional(),
  stop_grace_period: z.string().optional(),
  volumes: z.array(z.string().regex(/^[a-z]+:\/[a-z/-]+(:ro)?$/)).optional(),
});
const compose = z.strictObject({
  services: z.record(z.string(), service),
  volumes: z.record(z.string(), z.strictObject({})),
});
const { services, volumes } = compose.parse(parse(text('docker-compose.yml')));
const stages = [...text('Dockerfile').matchAll(/^FROM (\S+) AS (\S+)$/gm)].map(([, , name]) => name);
const stageOf = (name: string): string => text('Dockerfile').split(` AS ${name}\n`)[1]?.split('\nFROM ')[0] as string;

test('docker-compose.yml is of the form that Compose reads, and names no volume, service or image it does not define', () => {
  const mounted = Object.values(services).flatMap(({ volumes: list = [] }) => list.map((entry) => entry.split(':')[0]));
  expect([...new Set(mounted)].sort()).toEqual(Object.keys(volumes).sort());
  for (const { depends_on = {}, build } of Object.values(services)) {
    for (const name of Object.keys(depends_on)) expect(Object.keys(services)).toContain(name);
    if (build !== undefined) expect(stages).toContain(build.target);
  }
});

test.each(['control', 'worker'])('what the image %s starts is a command that the command line knows', (name) => {
  const [verb, ...flags] = JSON.parse(/^CMD (.*)$/m.exec(stageOf(name))?.[1] as string) as string[];
  const command = createProgram().commands.find((one) => one.name() === verb);
  const known = command?.options.map(({ long }) => long);
  for (const flag of flags) expect(known).toContain(flag);
});

test('every folder that copies and mounts name is made for the user that pgproof and PostgreSQL share', () => {
  const owned = services.folders?.entrypoint?.filter((word) => word.startsWith('/'));
  for (const name of ['postgres', 'worker']) {
    for (const volume of services[name]?.volumes ?? []) {
      const [kept, path] = volume.split(':');
      if (kept !== 'data') expect(owned).toContain(path);
    }
  }
  expect(services.postgres?.user).toBe('999:999');
  expect(stageOf('worker')).toContain('USER 999:999');
  for (const shared of ['socket:/var/run/postgresql', 'state:/var/lib/pgproof']) {
    expect(services.postgres?.volumes).toContain(shared);
    expect(services.worker?.volumes).toContain(shared);
  }
});

test('the control worker has the configuration, to read, and no key, state, repository or socket', () => {
  expect(services.control?.volumes).toEqual(['config:/etc/pgproof:ro']);
  expect(stageOf('control')).not.toMatch(/postgres|XDG_STATE_HOME/);
});

test.each(['control', 'worker'])('%s is given the time that its steps may take to end', (name) => {
  const given = durationSeconds(services[name]?.stop_grace_period ?? '10s') ?? 0;
  const grace = createProgram().commands.find((one) => one.name() === 'worker')?.options;
  const own = durationSeconds(grace?.find(({ long }) => long === '--grace')?.defaultValue as string) ?? 0;
  expect(given).toBeGreaterThanOrEqual(own + 30 + 20); // forced, and the loops after it
});
