import { homedir } from 'node:os';
import { join } from 'node:path';

type Environment = Readonly<Record<string, string | undefined>>;

/** pgproof's folders for the user that runs it. */
export type Places = {
  /** Where the state of this host lies unless its config says otherwise. */
  state: string;
  cache: string;
  /** Where `init` puts config and keys. */
  config: string;
};

/** Root's places, or the user's own by the XDG rules. */
export function places(env: Environment = process.env): Places {
  if (process.getuid?.() === 0) {
    return { state: '/var/lib/pgproof', cache: '/var/cache/pgproof', config: '/etc/pgproof' };
  }
  const home = env.HOME || homedir();
  const own = (variable: string, ...usual: string[]) => join(env[variable] || join(home, ...usual), 'pgproof');
  return {
    state: own('XDG_STATE_HOME', '.local', 'state'),
    cache: env.PGPROOF_CACHE || own('XDG_CACHE_HOME', '.cache'),
    config: own('XDG_CONFIG_HOME', '.config'),
  };
}

/** Where the config is looked for when no --config is given, first match wins. */
export const configPlaces: readonly string[] = ['./pgproof.yaml', '/etc/pgproof/pgproof.yaml'];

/** Where the state of this host lies unless its config says otherwise. */
export function defaultStateDir(env: Environment = process.env): string {
  return places(env).state;
}
