import { existsSync } from 'node:fs';
import { execa } from 'execa';
import { PgproofError } from '../../core/errors.ts';

/** This machine's service manager. Tests have a stand-in: another folder, and another program in place of systemctl. */
export type Systemd = {
  /** Where units of the administrator lie. */
  unitDir: string;
  /** Null where systemd is not what runs the machine, as in a container: then files are written and nothing is called. */
  systemctl: string | null;
};

/** Source of the test: sd_booted(3). */
export const systemdHere = (): Systemd => ({
  unitDir: '/etc/systemd/system',
  systemctl: existsSync('/run/systemd/system') ? 'systemctl' : null,
});

/** Runs systemctl where there is one. @throws {PgproofError} `tool-failed`, with what it said. */
export async function systemctl({ systemctl: program }: Systemd, ...args: string[]): Promise<string> {
  if (program === null) return '';
  const { exitCode, stdout, stderr } = await execa(program, args, { reject: false, stdin: 'ignore' });
  if (exitCode === 0) return stdout;
  throw new PgproofError('tool-failed', `systemctl ${args.join(' ')} failed: ${stderr.trim() || `exit ${exitCode}`}`, {
    facts: { exitCode: exitCode ?? null },
    hint: 'Look at it with: systemctl status',
  });
}

/** Instances of a template that systemd knows: running, enabled, or failed. */
export async function instancesOf(systemd: Systemd, template: string): Promise<string[]> {
  const pattern = template.replace('@.', '@*.');
  const listed = await systemctl(systemd, 'list-units', '--all', '--plain', '--no-legend', '--full', pattern);
  return listed.split('\n').flatMap((line) => line.trim().split(/\s+/)[0] || []);
}
