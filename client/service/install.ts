import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { PgproofError } from '../../core/errors.ts';
import { asUser, type OsUser } from './os-user.ts';
import { instancesOf, type Systemd, systemctl } from './systemd.ts';
import { instanceName, marker, templateName, type UnitOptions, unitText } from './units.ts';

export type Installed = {
  unit: string;
  file: string;
  /** Other versions that were told to end; they finish what runs, for as long as their grace time. */
  replaced: string[];
  /** False where systemd does not run: then the file was written and nothing was started. */
  started: boolean;
};

/**
 * Writes the template, starts this version's instance, and tells those of other versions to end: the first installation, an
 * upgrade and a way back are one and the same. A worker starts beside the old one, which takes no more work; `up` has ports
 * that only one can have, so it waits for the old one's end.
 * @throws {PgproofError} `install-refused` before anything was touched; `tool-failed`.
 */
export async function installService(options: UnitOptions, user: OsUser, systemd: Systemd): Promise<Installed> {
  await refuseUnusable(options, user);
  const file = join(systemd.unitDir, templateName(options.role));
  await refuseForeign(file);
  await writeFile(file, unitText(options));
  await chmod(file, 0o644);

  const unit = instanceName(options.role, options.root);
  await systemctl(systemd, 'daemon-reload');
  const replaced = (await instancesOf(systemd, templateName(options.role))).filter((other) => other !== unit);
  const isAlone = options.role === 'up';
  if (isAlone) await stopOthers(systemd, replaced, []);
  await systemctl(systemd, 'enable', unit);
  await systemctl(systemd, 'restart', unit);
  if (!isAlone) await stopOthers(systemd, replaced, ['--no-block']);
  return { unit, file, replaced, started: systemd.systemctl !== null };
}

async function stopOthers(systemd: Systemd, units: readonly string[], how: readonly string[]): Promise<void> {
  if (units.length === 0) return;
  await systemctl(systemd, 'disable', ...units);
  await systemctl(systemd, 'stop', ...how, ...units);
}

/** What would only be seen in the journal of a service that starts again and again. */
async function refuseUnusable({ root, configFile, keyFiles }: UnitOptions, user: OsUser): Promise<void> {
  const wanted: [string, '-r' | '-x'][] = [
    [join(root, 'pgproof'), '-r'],
    [join(root, 'pgproof'), '-x'],
    [join(root, 'node_modules/.bin/node'), '-x'],
    [configFile, '-r'],
    ...keyFiles.map((path): [string, '-r'] => [path, '-r']),
  ];
  for (const [path, how] of wanted) {
    // Not access(2), which asks for the user that began this process: for root, whose answer is always yes.
    const { exitCode } = await asUser(user, () => execa('test', [how, path], { reject: false }));
    if (exitCode === 0) continue;
    throw new PgproofError('install-refused', `user '${user.name}' cannot ${how === '-r' ? 'read' : 'run'} '${path}'`, {
      facts: { user: user.name, path },
      hint: 'Install pgproof below /opt/pgproof and its configuration below /etc/pgproof, readable for that user. A key file is its alone, mode 0600.',
    });
  }
}

async function refuseForeign(file: string): Promise<void> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (text === undefined || text.startsWith(marker)) return;
  throw new PgproofError('install-refused', `'${file}' is there, and was not written by pgproof`, {
    facts: { file },
    hint: 'Move it away, or keep it and do without `service install`.',
  });
}
