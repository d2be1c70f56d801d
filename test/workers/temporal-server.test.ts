import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { NativeConnection } from '@temporalio/worker';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { connectTemporal } from '../../client/temporal.ts';
import { configSchema } from '../../core/config.ts';
import { ensureSearchAttributes, searchAttributes } from '../../workers/search-attributes.ts';
import { temporalSettings } from '../../workers/temporal.ts';
import { type GrpcProxy, startGrpcProxy } from '../support/grpc-proxy.ts';
import { keptTempDir, tempDir } from '../support/temp.ts';
import { emptyConfig, noTemporalEnv, startTemporal, type TestTemporal } from '../support/temporal.ts';

/** A Temporal server of one's own: how it is reached, and what it must know. The server is real; TLS is a proxy before it. */

const config = configSchema.parse(emptyConfig);
const key = 'k-3f9a-not-for-logs';
let server: TestTemporal;
let certificates: string;
const proxies: GrpcProxy[] = [];

beforeAll(async () => {
  server = await startTemporal();
  certificates = keptTempDir('tls');
  makeCertificates(certificates);
});
afterEach(async () => {
  for (const proxy of proxies.splice(0)) await proxy.close();
});
afterAll(async () => {
  await server?.dispose();
  rmSync(certificates, { recursive: true, force: true });
});

async function proxy(how: 'tls' | 'plain'): Promise<GrpcProxy> {
  const read = (name: string): string => readFileSync(join(certificates, name), 'utf8');
  const tls = { key: read('server.key'), cert: read('server.pem'), ca: read('ca.pem') };
  const started = await startGrpcProxy(server.settings.address, how === 'tls' ? tls : null);
  proxies.push(started);
  return started;
}

const tlsEnv = (address: string, client = 'client') => ({
  ...noTemporalEnv,
  TEMPORAL_ADDRESS: address,
  TEMPORAL_NAMESPACE: 'pgproof',
  TEMPORAL_TLS_CLIENT_CERT_PATH: join(certificates, `${client}.pem`),
  TEMPORAL_TLS_CLIENT_KEY_PATH: join(certificates, `${client}.key`),
  TEMPORAL_TLS_SERVER_CA_CERT_PATH: join(certificates, 'ca.pem'),
  TEMPORAL_TLS_SERVER_NAME: 'temporal.test',
});

/** Both ways that we speak to it: a verb's, and a worker's. */
async function reach(env: Record<string, string>): Promise<void> {
  const settings = temporalSettings(config, env);
  await (await connectTemporal(settings, null)).close();
  const connection = await NativeConnection.connect(settings.connection);
  try {
    await connection.workflowService.describeNamespace({ namespace: settings.namespace });
  } finally {
    await connection.close();
  }
}

describe('the server that TEMPORAL_ADDRESS or a profile names', () => {
  test('is reached with a client certificate, by verbs and by workers', async () => {
    const { address, headers } = await proxy('tls');
    await reach(tlsEnv(address));
    expect(headers.length).toBeGreaterThan(1);
  });

  test('is not reached with a certificate that its CA did not sign', async () => {
    const { address, headers } = await proxy('tls');
    await expect(reach(tlsEnv(address, 'stranger'))).rejects.toMatchObject({ code: 'temporal-unreachable' });
    expect(headers).toEqual([]);
  });

  test('is sent the API key with every call, and nobody else is told it', async () => {
    const { address, headers } = await proxy('tls');
    const env = { ...tlsEnv(address), TEMPORAL_API_KEY: key };
    await reach(env);
    expect(headers.length).toBeGreaterThan(1);
    expect(headers.map(({ authorization }) => authorization)).toEqual(headers.map(() => `Bearer ${key}`));
    const away = connectTemporal(temporalSettings(config, { ...env, TEMPORAL_ADDRESS: '127.0.0.1:1' }), null);
    const error = await away.catch((thrown: unknown) => thrown);
    expect(`${JSON.stringify(error)}${String(error)}`).not.toContain(key);
  });

  test('is read from a profile of a file, with its certificates', async () => {
    const { address, headers } = await proxy('tls');
    const file = join(tempDir(), 'temporal.toml');
    const path = (name: string): string => `"${join(certificates, name)}"`;
    writeFileSync(
      file,
      `[profile.fleet]\naddress = "${address}"\nnamespace = "pgproof"\n[profile.fleet.tls]\n` +
        `client_cert_path = ${path('client.pem')}\nclient_key_path = ${path('client.key')}\nserver_ca_cert_path = ${path('ca.pem')}\nserver_name = "temporal.test"\n`,
    );
    await reach({ TEMPORAL_CONFIG_FILE: file, TEMPORAL_PROFILE: 'fleet' });
    expect(headers.length).toBeGreaterThan(1);
  });

  test.each([{ TEMPORAL_NAMESPACE: 'fleet.a1b2c' }, { TEMPORAL_API_KEY: key }])(
    'is not replaced by the embedded one when only its address is missing: %j',
    (env) => {
      const settings = (): unknown => temporalSettings(config, { ...noTemporalEnv, ...env });
      expect(settings).toThrow(
        expect.objectContaining({ code: 'config-invalid', hint: expect.stringContaining('TEMPORAL_ADDRESS') }),
      );
    },
  );
});

describe('a missing search attribute', () => {
  let connection: NativeConnection;
  let through: GrpcProxy;
  const namespace = 'pgproof';

  async function connect(deny: RegExp | null): Promise<void> {
    through = await proxy('plain');
    through.deny = deny;
    connection = await NativeConnection.connect({ address: through.address });
  }
  afterEach(() => connection?.close());

  const forget = (name: string): Promise<unknown> =>
    connection.operatorService.removeSearchAttributes({ namespace, searchAttributes: [name] });

  test('is registered at the start of the control worker', async () => {
    await connect(null);
    await forget('PgVerdict');
    await ensureSearchAttributes(connection, namespace);
    const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
    expect(Object.keys(customAttributes)).toEqual(expect.arrayContaining([...searchAttributes]));
  });

  test('that may not be registered is refused with the commands, before any run stands still for it', async () => {
    await connect(null);
    await forget('PgVerdict');
    through.deny = /AddSearchAttributes/;
    const refused = await ensureSearchAttributes(connection, namespace).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: 'search-attribute-missing', facts: { missing: ['PgVerdict'] } });
    expect((refused as { hint: string }).hint).toContain('tcld namespace search-attributes add');
    through.deny = null;
    await ensureSearchAttributes(connection, namespace);
  });

  test('is found, and one that is there too, where attributes are listed to administrators only', async () => {
    await connect(/OperatorService/);
    await ensureSearchAttributes(connection, namespace);
    through.deny = null;
    await forget('PgHost');
    through.deny = /OperatorService/;
    await expect(ensureSearchAttributes(connection, namespace)).rejects.toMatchObject({
      facts: { missing: ['PgHost'] },
    });
    through.deny = null;
    await ensureSearchAttributes(connection, namespace);
  });

  test('is no verdict while the server does not answer in time', async () => {
    await connect(/OperatorService/);
    through.status = 4; // DEADLINE_EXCEEDED
    const error = await ensureSearchAttributes(connection, namespace).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(Error);
    expect(error).not.toMatchObject({ code: 'search-attribute-missing' });
  });
});

/** A CA, a server and a client that it signed, and a stranger. */
function makeCertificates(folder: string): void {
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'ignore' });
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  for (const name of ['ca', 'stranger'])
    openssl(
      'req',
      '-x509',
      ...newKey,
      '-days',
      '2',
      '-subj',
      `/CN=${name}`,
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.pem`,
    );
  writeFileSync(join(folder, 'names'), 'subjectAltName=IP:127.0.0.1,DNS:temporal.test');
  for (const name of ['server', 'client']) {
    openssl('req', ...newKey, '-subj', `/CN=${name}`, '-keyout', `${name}.key`, '-out', `${name}.csr`);
    const signed = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'names'];
    openssl('x509', '-req', '-in', `${name}.csr`, ...signed, '-out', `${name}.pem`);
  }
}
