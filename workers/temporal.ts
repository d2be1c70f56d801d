import { loadClientConfigProfile, toClientOptions } from '@temporalio/envconfig';
import type { NativeConnectionOptions } from '@temporalio/worker';
import type { Config } from '../core/config.ts';
import { PgproofError } from '../core/errors.ts';

/** Where Temporal is. `connection` may hold an API key: it goes to the SDK and nowhere else. */
export type TemporalSettings = {
  address: string;
  namespace: string;
  /** Whether it is the server that `pgproof up` brings along. */
  embedded: boolean;
  /** The web UI, where we know it. */
  uiUrl: string | null;
  connection: NativeConnectionOptions;
  /** Of the embedded server: the state folders of our hosts, where the configuration names each. */
  states?: string[] | undefined;
  /** The key file that seals payloads; in the clear without one. */
  payloadKeyFile?: string | undefined;
};

export const embeddedNamespace = 'pgproof';

/**
 * TEMPORAL_ADDRESS or a Temporal profile (TEMPORAL_PROFILE, TEMPORAL_CONFIG_FILE) when there is one, otherwise the
 * embedded server as the configuration has it.
 * @throws {PgproofError} `config-invalid` when the profile cannot be read, or names a server without its address.
 */
export function temporalSettings(config: Config, env: NodeJS.ProcessEnv): TemporalSettings {
  const profile = loadProfile(env);
  const payloadKeyFile = config.keys[config.temporal.codec ?? '']?.file;
  if (profile.address === undefined) {
    refuseAddressless(profile);
    return { ...embeddedSettings(config), payloadKeyFile };
  }
  const { connectionOptions } = toClientOptions(profile);
  return {
    address: profile.address,
    namespace: profile.namespace ?? 'default',
    embedded: false,
    uiUrl: null,
    connection: connectionOptions,
    payloadKeyFile,
  };
}

/** Whoever gives a namespace or a key means a server of their own: falling back to the embedded one would look like a fleet without work. */
function refuseAddressless({ namespace, apiKey, tls }: ReturnType<typeof loadProfile>): void {
  const given = Object.entries({ namespace, apiKey, tls }).flatMap(([name, value]) =>
    value === undefined ? [] : name,
  );
  if (given.length === 0) return;
  throw new PgproofError('config-invalid', `the Temporal profile has ${given.join(', ')}, and no address`, {
    facts: { given },
    hint: 'Set TEMPORAL_ADDRESS, or the address in the profile; or unset the others to use the embedded server.',
  });
}

function embeddedSettings(config: Config): TemporalSettings {
  const { port, uiPort } = config.temporal.embedded;
  const address = `127.0.0.1:${port}`;
  const states = Object.values(config.hosts).flatMap(({ state }) => state ?? []);
  return {
    address,
    namespace: embeddedNamespace,
    embedded: true,
    uiUrl: `http://127.0.0.1:${uiPort}`,
    connection: { address },
    states: states.length > 0 && states.length === Object.keys(config.hosts).length ? states : undefined,
  };
}

function loadProfile(env: NodeJS.ProcessEnv): ReturnType<typeof loadClientConfigProfile> {
  try {
    return loadClientConfigProfile({ overrideEnvVars: definedOnly(env) });
  } catch (error) {
    // Not its message, which may quote the file: an API key stands in it.
    const code = (error as NodeJS.ErrnoException).code;
    const why = code === undefined ? '' : `: ${code}`;
    throw new PgproofError('config-invalid', `the Temporal profile cannot be read${why}`, {
      facts: { profile: env.TEMPORAL_PROFILE ?? null, file: env.TEMPORAL_CONFIG_FILE ?? null },
      hint: 'Check TEMPORAL_PROFILE and TEMPORAL_CONFIG_FILE, or unset them to use the embedded server.',
      cause: error,
    });
  }
}

function definedOnly(env: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined));
}
