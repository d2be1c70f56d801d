import { execFileSync } from 'node:child_process';
import { isRoot } from './apt.ts';
import { command } from './command.ts';
import { locatePostgres, locateTemporal, locateVersitygw } from './locate.ts';
import { installMajor, installPostgres } from './postgres.ts';
import { say } from './say.ts';
import { installTemporal, temporalByHand } from './temporal.ts';
import { hasTool, installTink, installTool, locateTinkPython, TINK, TOOLS } from './tools.ts';
import { installVersitygw, versitygwByHand } from './versitygw.ts';

export type Need = {
  name: string;
  found(): boolean;
  install(): Promise<void>;
  /** The line with which a person gets it. */
  byHand: string;
};

const postgres: Need = {
  name: 'a PostgreSQL server',
  found: () => locatePostgres() !== undefined,
  install: installPostgres,
  byHand: 'apt-get install postgresql',
};

const temporal: Need = {
  name: 'the Temporal server',
  found: () => locateTemporal() !== undefined,
  install: installTemporal,
  byHand: temporalByHand(),
};

/** PostgreSQL refuses root; where no package brought its user, root makes it. */
const osUser: Need = {
  name: 'the OS user postgres',
  found: () => !isRoot() || hasUser('postgres'),
  install: async () => {
    say('adding the OS user postgres, because PostgreSQL refuses to run as root');
    const args = ['--system', '--user-group', '--create-home', '--home-dir', '/var/lib/postgresql', 'postgres'];
    await command('useradd', args, { timeoutSeconds: 60 });
  },
  byHand: 'useradd --system --user-group --create-home --home-dir /var/lib/postgresql postgres',
};

const major = (version: string): Need => ({
  name: `PostgreSQL ${version}`,
  found: () => locatePostgres(version) !== undefined,
  install: () => installMajor(version),
  byHand: `apt-get install postgresql-${version}`,
});

const tool = (name: string): Need => ({
  name,
  found: () => hasTool(name),
  install: () => installTool(name),
  byHand: `apt-get install ${name}`,
});

const tink: Need = {
  name: TINK,
  found: () => locateTinkPython() !== undefined,
  install: installTink,
  byHand: 'apt-get install python3',
};

const versitygw: Need = {
  name: 'the S3 server versitygw',
  found: () => locateVersitygw() !== undefined,
  install: installVersitygw,
  byHand: versitygwByHand(),
};

/** What each goal needs, in the order it is installed. */
export const needsOf: Record<string, Need[]> = {
  demo: [postgres, osUser, temporal],
  test: [major('15'), major('18'), osUser, temporal, versitygw, ...TOOLS.map(tool), tink],
  bench: [osUser, versitygw, tool('openssl'), tool('rclone')],
};

function hasUser(name: string): boolean {
  try {
    execFileSync('getent', ['passwd', name], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
