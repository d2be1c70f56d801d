import { hostname } from 'node:os';
import { type Logger, pino } from 'pino';
import type { Config } from '../core/config.ts';
import { PgproofError } from '../core/errors.ts';
import { isName } from '../core/names.ts';
import { findConfig, parseConfig } from './config.ts';
import { defaultStateDir } from './paths.ts';

/** This machine, as its config describes it. */
export type Host = {
  config: Config;
  /** Absolute path. */
  configFile: string;
  /** A key of `config.hosts`. */
  name: string;
  stateDir: string;
  log: Logger;
};

export type HostOptions = {
  /** Otherwise ./pgproof.yaml, then /etc/pgproof/pgproof.yaml. */
  configFile?: string | undefined;
  /** Otherwise this machine's host name. */
  host?: string | undefined;
  env?: Readonly<Record<string, string | undefined>>;
  /** Otherwise one that writes to stderr. */
  log?: Logger | undefined;
};

/**
 * Reads the config and finds this host in it. Touches nothing.
 * @throws {PgproofError} `config-missing`, `config-invalid`, `password-plain`, `host-unknown`.
 */
export async function openHost(options: HostOptions = {}): Promise<Host> {
  const { path, text } = await findConfig(options.configFile);
  const config = parseConfig(path, text);
  const name = chooseHost(config, path, options.host);
  return {
    config,
    configFile: path,
    name,
    stateDir: config.hosts[name]?.state ?? defaultStateDir(options.env),
    log: options.log ?? pino({ name: 'pgproof' }, pino.destination({ dest: 2, sync: true })),
  };
}

/** The name this machine has in a config: its host name, without the domain where that is no name. */
export function ownHostName(full: string = hostname()): string {
  const lower = full.toLowerCase();
  return isName(lower) ? lower : (lower.split('.')[0] as string);
}

function chooseHost({ hosts }: Config, path: string, wanted: string | undefined): string {
  const name = wanted ?? ownHostName();
  if (Object.hasOwn(hosts, name)) return name;
  const known = Object.keys(hosts);
  throw new PgproofError(
    'host-unknown',
    `host '${name}' is not defined in '${path}' (hosts: ${known.join(', ') || 'none'})`,
    {
      facts: { host: name, known, path },
      hint:
        wanted === undefined
          ? `Add '${name}: {}' under hosts, or say which one this is: --host ${known[0] ?? 'NAME'}.`
          : 'Give one of these names.',
    },
  );
}
