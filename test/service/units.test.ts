import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { instanceName, type Role, roles, type UnitOptions, unitText } from '../../client/service/units.ts';
import { locateProgram } from '../../setup/locate.ts';
import { tempDir } from '../support/temp.ts';

/** The units, as systemd's own checker reads them. */

type Checked = { code: number | null; said: string };

/** A folder of a version, as /opt/pgproof has them, and the unit of it. */
function written(role: Role, more: Partial<UnitOptions> = {}): { options: UnitOptions; units: string; file: string } {
  const folder = tempDir('unit');
  const options = { ...optionsOf(role, join(folder, 'opt/0.1.0')), ...more };
  mkdirSync(options.root, { recursive: true });
  writeFileSync(join(options.root, 'pgproof'), '#!/bin/sh\n');
  chmodSync(join(options.root, 'pgproof'), 0o755);
  const units = join(folder, 'units');
  mkdirSync(units);
  const file = join(units, instanceName(role, options.root));
  writeFileSync(file, unitText(options));
  return { options, units, file };
}

const optionsOf = (role: Role, root: string): UnitOptions => ({
  role,
  root,
  configFile: '/etc/pgproof/pgproof.yaml',
  host: role === 'control' ? null : 'db-7',
  user: 'nobody',
  keyFiles: [],
  graceSeconds: 20,
});

/** @param units besides ours: stand-ins for those of a machine, because the one that tests has perhaps none. */
function analyze(units: string, ...args: string[]): Checked {
  for (const target of ['sysinit', 'basic', 'shutdown', 'multi-user', 'network-online'])
    writeFileSync(join(units, `${target}.target`), '[Unit]\nDescription=stand-in\n');
  for (const slice of ['-', 'system', 'system-pgproof']) writeFileSync(join(units, `${slice}.slice`), '[Slice]\n');
  const env = { ...process.env, SYSTEMD_UNIT_PATH: units, SYSTEMD_LOG_LEVEL: 'warning' };
  const program = locateProgram('systemd-analyze') as string;
  // From 257 on it makes /run/systemd, which without systemd only root may: then it gets a /run of its own.
  const ownRun = ['--map-root-user', '--mount', 'sh', '-c', 'mount -t tmpfs tmpfs /run && exec "$@"', 'sh'];
  const [command, ...before] = existsSync('/run/systemd') ? [program] : ['unshare', ...ownRun, program];
  const { status, stdout, stderr } = spawnSync(command as string, [...before, ...args], { encoding: 'utf8', env });
  return { code: status, said: `${stdout}${stderr}` };
}
const verify = ({ units, file }: { units: string; file: string }): Checked =>
  analyze(units, 'verify', '--man=no', '--generators=no', file);

describe('systemd-analyze verify', () => {
  test.each(roles)('has nothing to say of the unit of %s', (role) => {
    expect(verify(written(role))).toEqual({ code: 0, said: '' });
  });

  test('reads odd paths as they are meant: blanks, quotes, per cent, dollars', () => {
    const unit = written('worker', { configFile: `/etc/pg "proof"/100%/$HOME/pgproof.yaml` });
    expect(verify(unit)).toEqual({ code: 0, said: '' });
    expect(unitText(unit.options)).toContain(`--config "/etc/pg \\"proof\\"/100%%/$$HOME/pgproof.yaml" --host db-7`);
  });

  test('takes no path with a line break in it: the rest would be another setting', () => {
    const options = { ...optionsOf('worker', '/opt/pgproof/0.1.0'), configFile: '/etc/x\nExecStartPre=+touch.yaml' };
    expect(() => unitText(options)).toThrow('holds a control character');
  });

  test('would say it: a program that is not there, and a word it does not know', () => {
    const gone = written('worker');
    chmodSync(join(gone.options.root, 'pgproof'), 0o644);
    expect(verify(gone)).toMatchObject({ code: 1, said: expect.stringContaining('not executable') });
    const odd = written('worker');
    writeFileSync(odd.file, unitText(odd.options).replace('KillMode=mixed', 'KillMode=gently'));
    expect(verify(odd).said).toContain('gently');
  });
});

test('the control worker is given little: systemd calls what it could still reach OK, and no more', () => {
  const { units, file } = written('control');
  const { code, said } = analyze(units, 'security', '--offline=true', '--no-pager', '--threshold=20', file);
  expect({ code, said: /Overall exposure level.*: (\d\.\d)/.exec(said)?.[1] }).toMatchObject({ code: 0 });
});

describe('a unit', () => {
  test('waits longer for the end than the worker takes for its steps', () => {
    const text = unitText({ ...optionsOf('worker', '/opt/pgproof/0.1.0'), graceSeconds: 6 * 3600 });
    expect(text).toContain('--grace 21600s');
    expect(text).toContain('TimeoutStopSec=21660s');
  });

  test('serves every version beside it: the folder is the instance', () => {
    const of = (version: string) => unitText(optionsOf('worker', `/opt/pgproof/${version}`));
    expect(of('0.1.0')).toBe(of('0.2.0'));
    expect(of('0.1.0')).toContain('ExecStart=/opt/pgproof/%i/pgproof worker ');
    expect(instanceName('worker', '/opt/pgproof/0.2.0')).toBe('pgproof-worker@0.2.0.service');
  });

  test('of a host names it; of the control worker names none, and asks for no state', () => {
    expect(unitText(optionsOf('up', '/opt/pgproof/0.1.0'))).toContain(
      ' up --config /etc/pgproof/pgproof.yaml --host db-7',
    );
    const control = unitText(optionsOf('control', '/opt/pgproof/0.1.0'));
    expect(control).toContain(' worker --control --config /etc/pgproof/pgproof.yaml\n');
    expect(control).toContain('ProtectSystem=strict');
    expect(control).not.toMatch(/ReadWritePaths|postgresql/);
  });
});
