import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { PgproofError } from '../../core/errors.ts';
import { instancesOf, type Systemd, systemctl } from './systemd.ts';
import { marker, type Role, templateName } from './units.ts';

export type Service = { role: Role; file: string; user: string };

/**
 * What is installed for a role.
 * @throws {PgproofError} `install-refused` when nothing is, or when the file is not ours.
 */
export async function findService(role: Role, systemd: Systemd): Promise<Service> {
  const file = join(systemd.unitDir, templateName(role));
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    throw new PgproofError('install-refused', `there is no service '${role}': no '${file}'`, { facts: { role, file } });
  });
  const user = /^User=(\S+)$/m.exec(text)?.[1];
  if (text.startsWith(marker) && user !== undefined) return { role, file, user };
  throw new PgproofError('install-refused', `'${file}' was not written by pgproof`, {
    facts: { file },
    hint: 'Remove it by hand.',
  });
}

/**
 * Stops every version, waits for their end, and removes the template: nothing else. State, spool, keys, configuration and
 * repositories stay as they are.
 */
export async function removeService({ role, file }: Service, systemd: Systemd): Promise<string[]> {
  const units = await instancesOf(systemd, templateName(role));
  if (units.length > 0) await systemctl(systemd, 'disable', '--now', ...units);
  await rm(file);
  await systemctl(systemd, 'daemon-reload');
  return units;
}
