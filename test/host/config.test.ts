import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { stringify } from 'yaml';
import type { PgproofError } from '../../core/errors.ts';
import { findConfig, loadConfig, parseConfig } from '../../host/config.ts';
import { openHost, ownHostName } from '../../host/host.ts';
import { clusterConfig } from '../../host/lookup.ts';
import { tempDir } from '../support/temp.ts';

const good = `
hosts: { db-7: {}, db-8: {} }
repositories: { local: { type: file, path: /var/lib/pgproof/repository } }
keys: { main: { file: /etc/pgproof/main.key } }
clusters:
  shop:
    host: db-7
    connection: { socket: /var/run/postgresql }
    repositories: [local]
    key: main
  far:
    host: db-8
    connection: { host: 10.0.0.8 }
    repositories: [local]
`;

function problemsOf(text: string): PgproofError {
  try {
    parseConfig('/etc/pgproof/pgproof.yaml', text);
  } catch (error) {
    return error as PgproofError;
  }
  throw new Error('the config was accepted');
}

function fileWith(text: string): string {
  const path = join(tempDir(), 'pgproof.yaml');
  writeFileSync(path, text);
  return path;
}

test('a good config is read with its defaults', () => {
  const { fleet, clusters } = parseConfig('x', good);
  expect(fleet).toBe('main');
  expect(clusters.shop).toMatchObject({
    connection: { port: 5432, user: 'pgproof', database: 'postgres' },
    wal: { mode: 'archive', acknowledge: 'spool', heartbeat: 10 },
    objectives: { rpo: 300 },
  });
});

test('a misspelt key is named with its line and the key that was meant', () => {
  const error = problemsOf(good.replace('    key: main', '    kye: main'));
  expect(error.code).toBe('config-invalid');
  expect(error.message).toBe(
    "the configuration '/etc/pgproof/pgproof.yaml' is not usable: line 10: clusters.shop.kye: is not a key here; " +
      "did you mean 'key'? (allowed: host, prefer, connection, tools, wal, repositories, write, required, key, walKey, retention, objectives, schedules, dumps, drills)",
  );
});

test('a key that resembles none is named with what is allowed', () => {
  expect(problemsOf(`${good}\nretention: 7d`).message).toMatch(
    /retention: is not a key here \(allowed: fleet, timezone, hosts, repositories, keys, clusters, reportSink, temporal\)/,
  );
});

test('every problem is named at once', () => {
  const error = problemsOf(
    good.replace('type: file', 'type: s3').replace('host: db-8', 'host: db-9').replace('socket: /var', 'socket: var'),
  );
  expect(error.facts.problems).toEqual([
    'line 3: repositories.local.bucket: is missing; expected a text',
    'line 3: repositories.local.path: is not a key here (allowed: type, bucket, region, prefix, endpoint, pathStyle, credentials, storageClass, encryption, ca, limits)',
    expect.stringContaining("connection.socket: has 'var/run/postgresql'; expected an absolute path, beginning with /"),
  ]);
});

test('a kind of repository that there is not is answered with the kinds there are', () => {
  expect(problemsOf(good.replace('type: file', 'type: gcs')).message).toContain(
    "line 3: repositories.local.type: has 'gcs'; expected file, oss, s3",
  );
});

test.each([
  ["    password: 'hunter2'", 'a text'],
  ['    password: 424242', 'a number'],
])('a plain password in the config is refused and never quoted: %s', (line) => {
  const error = problemsOf(
    good.replace('connection: { socket: /var/run/postgresql }', `connection:\n        socket: /s\n    ${line}`),
  );
  expect(JSON.stringify(error.toDocument())).not.toMatch(/hunter2|424242/);
  expect(error.code).toBe('password-plain');
  expect(error.message).toMatch(/line \d+: clusters\.shop\.connection\.password: a plain password is refused/);
  expect(error.hint).toContain('{file: /path}');
});

test.each(['pasword: hunter2', 'password: {value: hunter2}', 'password: [hunter2]', 'pass: hunter2'])(
  'a password under a wrong key is not quoted either: %s',
  (entry) => {
    const error = problemsOf(good.replace('socket: /var/run/postgresql', `socket: /s, ${entry}`));
    expect(error.exitCode).toBe(2);
    expect(JSON.stringify(error.toDocument())).not.toContain('hunter2');
  },
);

test.each(['../x', 'Shop', 'a/b', '.', 'a'.repeat(64)])("'%s' is not the name of a cluster", (name) => {
  const error = problemsOf(good.replace('  shop:', `  ${JSON.stringify(name)}:`));
  expect(error.message).toContain(`'${name}' is not a name; expected 1 to 63 lower-case letters`);
});

test.each<[string, string, string]>([
  ['wrong type', 'fleet: [a]', 'fleet: has a list; expected a text'],
  [
    'port out of range',
    'temporal: { embedded: { port: 70000 } }',
    "temporal.embedded.port: has '70000'; expected at most 65535",
  ],
  ['port as text', 'temporal: { embedded: { port: abc } }', "temporal.embedded.port: has 'abc'; expected a number"],
  ['empty section', 'temporal:', 'temporal: has no value; expected a map of keys'],
])('%s is said with the value and what is allowed', (_, line, text) => {
  expect(problemsOf(`${good}\n${line}`).message).toContain(text);
});

test('values inside a cluster: duration, repositories, references, socket beside host', () => {
  const shop = (change: object) => {
    const document = {
      hosts: { 'db-7': {} },
      repositories: { local: { type: 'file', path: '/r' } },
      clusters: { shop: { host: 'db-7', connection: { socket: '/s' }, repositories: ['local'], ...change } },
    };
    return problemsOf(stringify(document)).message;
  };
  expect(shop({ objectives: { rpo: '5 min' } })).toContain(
    "clusters.shop.objectives.rpo: has '5 min'; expected a duration such as 30s, 5m, 1h or 7d",
  );
  expect(shop({ repositories: [] })).toContain(
    'clusters.shop.repositories: has a list; expected at least one repository',
  );
  expect(shop({ repositories: ['nope'] })).toContain("'nope' is not defined under repositories");
  expect(shop({ key: 'main' })).toContain("clusters.shop.key: 'main' is not defined under keys");
  expect(shop({ connection: { socket: '/s', host: 'h' } })).toContain(
    'clusters.shop.connection: give either socket or host',
  );
  expect(shop({ tools: { bin: 'rel' } })).toContain(
    "clusters.shop.tools.bin: has 'rel'; expected an absolute path, beginning with /",
  );
  expect(shop({ wal: { mode: 'stream' } })).toContain("clusters.shop.wal.mode: has 'stream'; expected archive");
  expect(shop({ repositories: undefined })).toContain('clusters.shop.repositories: is missing; expected a list');
});

test('broken YAML and a key given twice are named by line and column', () => {
  expect(problemsOf('hosts: {\n').message).toMatch(/line \d+: column \d+: this is not YAML/);
  expect(problemsOf(`${good}\nhosts: {}`).message).toMatch(/Map keys must be unique/);
  expect(problemsOf('').message).toMatch(/hosts: is missing/);
});

test('a missing config says where it was looked for', async () => {
  await expect(findConfig('/nonexistent/p.yaml')).rejects.toMatchObject({
    code: 'config-missing',
    message: 'there is no configuration: looked for /nonexistent/p.yaml',
    hint: expect.stringContaining('pgproof init'),
  });
});

test('a host is found by --host or by the host name, and an unknown one is told the known ones', async () => {
  const configFile = fileWith(good);
  expect(await openHost({ configFile, host: 'db-7' })).toMatchObject({ name: 'db-7', configFile });
  await expect(openHost({ configFile, host: 'db-9' })).rejects.toMatchObject({
    code: 'host-unknown',
    facts: { known: ['db-7', 'db-8'] },
  });
  expect(ownHostName('DB-7.example.com')).toBe('db-7');
  const own = fileWith(good.replaceAll('db-7', ownHostName()));
  expect((await openHost({ configFile: own })).name).toBe(ownHostName());
});

test('a cluster that is unknown, misspelt, no name, or of another host is refused before anything is made', async () => {
  const host = await openHost({ configFile: fileWith(good), host: 'db-7' });
  expect(clusterConfig(host, 'shop').key).toBe('main');
  const refusal = (name: string) => {
    try {
      clusterConfig(host, name);
    } catch (error) {
      return error as PgproofError;
    }
    throw new Error('it was accepted');
  };
  expect(refusal('shpo')).toMatchObject({
    code: 'cluster-unknown',
    hint: "Did you mean 'shop'?",
    facts: { known: ['shop', 'far'] },
  });
  expect(refusal('../x').code).toBe('name-invalid');
  expect(refusal('constructor').code).toBe('cluster-unknown');
  expect(refusal('far')).toMatchObject({ code: 'cluster-elsewhere', facts: { belongsTo: ['db-8'] } });
});

test('loadConfig reads the file it is given', async () => {
  const path = fileWith(good);
  expect(Object.keys((await loadConfig(path)).clusters)).toEqual(['shop', 'far']);
  expect(readFileSync(path, 'utf8')).toBe(good);
});
