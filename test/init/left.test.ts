import { expect, test } from 'vitest';
import { propose } from '../../check/propose.ts';
import type { Setup } from '../../client/init/plan.ts';
import { leftOf, type Standing } from '../../client/init/standing.ts';
import { renderSetup } from '../../client/init/text.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';

const nothing: Standing = { logsIn: false, replicates: false, hasRights: false, hasHeartbeat: false, ships: false };
const primary = { isSuperuser: false, isStandby: false };
const config = {
  connection: { socket: '/run/postgresql', port: 5432, user: 'pgproof', database: 'postgres' },
  objectives: { rpo: 300 },
  dumps: { databases: 'all', perDatabase: {} },
  schedules: {},
  tools: { bin: 'auto' },
};
const paths = { scripts: '/state/bin', spool: '/state/spool' };
const proposal = propose({ config, paths } as unknown as ProtectedCluster, { settings: {} });

const textOf = (standing: Standing, server = primary): string => {
  const setup = {
    cluster: 'shop',
    configFile: '/etc/pgproof.yaml',
    keyFile: null,
    repositories: [],
    strategy: null,
    isStandby: server.isStandby,
    isRunning: standing.ships,
    hasHeartbeat: standing.hasHeartbeat,
    ...leftOf(proposal, standing, server),
  };
  return renderSetup(setup as unknown as Setup);
};

test('on a primary that has nothing everything is left to do', () => {
  const text = textOf(nothing);
  for (const step of [
    'CREATE ROLE',
    'Into pg_hba.conf',
    'Into pg_ident.conf',
    'pgproof up',
    'heartbeat install',
    'schedules apply',
  ])
    expect(text).toContain(step);
  expect(text).toContain('pgproof drill shop --config /etc/pgproof.yaml'); // no verb finds it there by itself
});

test('what is there is not listed again', () => {
  const all = Object.fromEntries(Object.keys(nothing).map((key) => [key, true])) as Standing;
  const text = textOf(all);
  for (const step of ['ROLE', 'pg_hba', 'pg_ident', 'pgproof up', 'heartbeat install'])
    expect(text).not.toContain(step);
  expect(text).toContain('pgproof check shop');
});

test('a standby gets role, schema and heartbeat from its primary, and has lines of its own for pg_hba.conf', () => {
  const text = textOf(nothing, { ...primary, isStandby: true });
  for (const step of ['ROLE', 'CREATE', 'heartbeat install', 'pgproof backup', 'pgproof up'])
    expect(text).not.toContain(step);
  for (const step of ['Into pg_hba.conf', 'archive_command', 'pgproof worker']) expect(text).toContain(step);
});

test('nothing is listed that would touch a superuser', () => {
  expect(leftOf(proposal, nothing, { ...primary, isSuperuser: true })).toMatchObject({
    roleSql: '',
    hba: [],
    ident: [],
  });
});
