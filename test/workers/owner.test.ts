import { expect, test } from 'vitest';
import { configSchema } from '../../core/config.ts';
import { assertOwnServer, ownerKey } from '../../workers/embedded/owner.ts';
import { temporalSettings } from '../../workers/temporal.ts';
import { emptyConfig, noTemporalEnv } from '../support/temporal.ts';

const settingsOf = (hosts: Record<string, { state?: string }>, env = {}) =>
  temporalSettings(configSchema.parse({ ...emptyConfig, hosts }), { ...noTemporalEnv, ...env });
const servedBy = (state: string): Record<string, string> => ({ [ownerKey]: state });

test('a verb refuses the embedded server of another configuration, which has the same port', () => {
  const settings = settingsOf({ 'db-7': { state: '/var/lib/pgproof' }, 'db-8': { state: '/srv/pgproof' } });
  expect(() => assertOwnServer(settings, servedBy('/home/ann/pgproof'))).toThrow(
    expect.objectContaining({ code: 'temporal-foreign', hint: expect.stringContaining('temporal.embedded.port') }),
  );
  expect(() => assertOwnServer(settings, servedBy('/srv/pgproof'))).not.toThrow();
});

test('a server is taken where nobody can tell whose it is: no state folder in the configuration, an older `up`, a server of our own', () => {
  const mine = { 'db-7': { state: '/var/lib/pgproof' } };
  expect(() => assertOwnServer(settingsOf({ ...mine, 'db-8': {} }), servedBy('/home/ann/pgproof'))).not.toThrow();
  expect(() => assertOwnServer(settingsOf(mine), {})).not.toThrow();
  const named = settingsOf(mine, { TEMPORAL_ADDRESS: 'temporal.example:7233' });
  expect(() => assertOwnServer(named, servedBy('/home/ann/pgproof'))).not.toThrow();
});
