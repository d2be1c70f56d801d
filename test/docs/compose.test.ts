import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import * as z from 'zod';
import { createProgram } from '../../client/program.ts';

/* No container engine runs where the tests run: syntax and references are what can be seen (docs/tested.md). */

const text = (name: string) => readFileSync(join(import.meta.dirname, '../..', name), 'utf8');

const service = z.strictObject({
  image: z.string().optional(),
  build: z.string().optional(),
  user: z.string().optional(),
  environment: z.record(z.string(), z.string()).optional(),
  command: z.array(z.string()).optional(),
  depends_on: z.array(z.string()).optional(),
  restart: z.enum(['unless-stopped', 'always', 'no']).optional(),
  network_mode: z.literal('host').optional(),
  volumes: z.array(z.string().regex(/^[a-z]+:\/[a-z/-]+$/)).optional(),
});
const compose = z.strictObject({
  services: z.record(z.string(), service),
  volumes: z.record(z.string(), z.strictObject({})),
});

test('docker-compose.yml is of the form that Compose reads, and names no volume or service it does not define', () => {
  const { services, volumes } = compose.parse(parse(text('docker-compose.yml')));
  const mounted = Object.values(services).flatMap(({ volumes: list = [] }) => list.map((entry) => entry.split(':')[0]));
  expect([...new Set(mounted)].sort()).toEqual(Object.keys(volumes).sort());
  for (const { depends_on = [] } of Object.values(services)) {
    for (const name of depends_on) expect(Object.keys(services)).toContain(name);
  }
});

test('the command in docker-compose.yml is one that the command line knows', () => {
  const { services } = compose.parse(parse(text('docker-compose.yml')));
  const [verb, ...flags] = services.pgproof?.command ?? [];
  const program = createProgram();
  expect(program.commands.map((command) => command.name())).toContain(verb);
  const known = program.options.map(({ long }) => long);
  for (const flag of flags.filter((word) => word.startsWith('--'))) expect(known).toContain(flag);
});

test('PostgreSQL and pgproof share the numeric user, the socket and the state folder', () => {
  const { services } = compose.parse(parse(text('docker-compose.yml')));
  expect(services.postgres?.user).toBe('999:999');
  expect(text('Dockerfile')).toContain('USER 999:999');
  for (const shared of ['socket:/var/run/postgresql', 'state:/var/lib/pgproof']) {
    expect(services.postgres?.volumes).toContain(shared);
    expect(services.pgproof?.volumes).toContain(shared);
  }
});
