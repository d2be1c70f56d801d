import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { installService } from '../../client/service/install.ts';
import { asUser, findUser } from '../../client/service/os-user.ts';
import type { Systemd } from '../../client/service/systemd.ts';
import { findService, removeService } from '../../client/service/uninstall.ts';
import { marker, type Role, unitText } from '../../client/service/units.ts';
import { pgproof } from '../client/cli.ts';
import { tempDir } from '../support/temp.ts';

/** Where systemd does not run, a stand-in takes systemctl's place: it notes what it is told, and knows some instances. */

type Machine = { systemd: Systemd; calls(): string[]; root(version: string): string; configFile: string };

function machine(running: readonly string[] = []): Machine {
  const folder = tempDir('machine');
  const unitDir = join(folder, 'system');
  mkdirSync(unitDir);
  const [log, program] = [join(folder, 'calls'), join(folder, 'systemctl')];
  const list = running.map((unit) => `${unit} loaded active running pgproof`).join('\n');
  writeFileSync(program, `#!/bin/sh\necho "$*" >>'${log}'\ncase $1 in list-units) echo '${list}' ;; esac\n`);
  chmodSync(program, 0o755);
  const configFile = join(folder, 'pgproof.yaml');
  writeFileSync(configFile, 'hosts: {}\n');
  const root = (version: string): string => {
    const path = join(folder, 'opt', version);
    mkdirSync(join(path, 'node_modules/.bin'), { recursive: true });
    for (const file of ['pgproof', 'node_modules/.bin/node'])
      writeFileSync(join(path, file), '#!/bin/sh\n', { mode: 0o755 });
    return path;
  };
  const calls = (): string[] => (existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : []);
  return { systemd: { unitDir, systemctl: program }, calls, root, configFile };
}

const me = userInfo().username;
const optionsOn = ({ root, configFile }: Machine, role: Role, version = '0.2.0') => ({
  role,
  root: root(version),
  configFile,
  host: role === 'control' ? null : 'db-7',
  user: me,
  keyFiles: [],
  graceSeconds: 20,
});

describe('service install', () => {
  test('writes the template, enables and starts this version', async () => {
    const here = machine();
    const options = optionsOn(here, 'worker');
    const installed = await installService(options, await findUser(me), here.systemd);
    expect(installed).toMatchObject({ unit: 'pgproof-worker@0.2.0.service', replaced: [], started: true });
    expect(readFileSync(installed.file, 'utf8')).toBe(unitText(options));
    expect(here.calls().filter((call) => !call.startsWith('list-units'))).toEqual([
      'daemon-reload',
      'enable pgproof-worker@0.2.0.service',
      'restart pgproof-worker@0.2.0.service',
    ]);
  });

  test('an upgrade starts the new worker first; the old one ends when its steps have, and nobody waits for that', async () => {
    const here = machine(['pgproof-worker@0.1.0.service', 'pgproof-worker@0.2.0.service']);
    const installed = await installService(optionsOn(here, 'worker'), await findUser(me), here.systemd);
    expect(installed.replaced).toEqual(['pgproof-worker@0.1.0.service']);
    expect(here.calls().slice(-3)).toEqual([
      'restart pgproof-worker@0.2.0.service',
      'disable pgproof-worker@0.1.0.service',
      'stop --no-block pgproof-worker@0.1.0.service',
    ]);
  });

  test('`up` has ports of its own: the old one has ended before the new one starts', async () => {
    const here = machine(['pgproof-up@0.1.0.service']);
    await installService(optionsOn(here, 'up'), await findUser(me), here.systemd);
    expect(here.calls().slice(-4)).toEqual([
      'disable pgproof-up@0.1.0.service',
      'stop pgproof-up@0.1.0.service',
      'enable pgproof-up@0.2.0.service',
      'restart pgproof-up@0.2.0.service',
    ]);
  });

  test('without systemd it writes the file, calls nothing, and says that nothing was started', async () => {
    const here = machine();
    const systemd = { ...here.systemd, systemctl: null };
    expect(await installService(optionsOn(here, 'control'), await findUser(me), systemd)).toMatchObject({
      started: false,
    });
    expect(here.calls()).toEqual([]);
  });

  test.each(['pgproof', 'node_modules/.bin/node'])(
    'refuses, before it writes, a version whose %s its user cannot run',
    async (file) => {
      const here = machine();
      const options = optionsOn(here, 'worker');
      chmodSync(join(options.root, file), 0);
      await expect(installService(options, await findUser(me), here.systemd)).rejects.toMatchObject({
        code: 'install-refused',
        facts: { path: join(options.root, file) },
      });
      expect(existsSync(join(here.systemd.unitDir, 'pgproof-worker@.service'))).toBe(false);
      expect(here.calls()).toEqual([]);
    },
  );

  test('refuses a user that cannot read the configuration or a key', async () => {
    const here = machine();
    const key = join(here.root('0.2.0'), 'shop.key');
    writeFileSync(key, '{}', { mode: 0 });
    const install = async () =>
      installService({ ...optionsOn(here, 'worker'), keyFiles: [key] }, await findUser(me), here.systemd);
    await expect(install()).rejects.toMatchObject({ code: 'install-refused', facts: { path: key } });
    chmodSync(key, 0o600);
    chmodSync(here.configFile, 0);
    await expect(install()).rejects.toMatchObject({ code: 'install-refused', facts: { path: here.configFile } });
    expect(here.calls()).toEqual([]);
  });

  test('refuses a file of that name that somebody else wrote', async () => {
    const here = machine();
    const file = join(here.systemd.unitDir, 'pgproof-worker@.service');
    writeFileSync(file, '[Service]\nExecStart=/bin/true\n');
    const refused = installService(optionsOn(here, 'worker'), await findUser(me), here.systemd);
    await expect(refused).rejects.toMatchObject({ code: 'install-refused', facts: { file } });
    expect(readFileSync(file, 'utf8')).not.toContain(marker);
  });

  test('says what systemctl said when it fails', async () => {
    const here = machine();
    writeFileSync(here.systemd.systemctl as string, '#!/bin/sh\necho "Access denied" >&2\nexit 4\n');
    const failed = installService(optionsOn(here, 'worker'), await findUser(me), here.systemd);
    await expect(failed).rejects.toMatchObject({
      code: 'tool-failed',
      message: expect.stringContaining('Access denied'),
    });
  });

  test('knows no user that the system does not know, and never takes root', async () => {
    await expect(findUser('nobody-of-that-name')).rejects.toMatchObject({ code: 'install-refused' });
    await expect(findUser('root')).rejects.toMatchObject({ code: 'root-refused' });
    expect(await asUser(await findUser(me), async () => process.geteuid?.())).toBe(process.geteuid?.());
  });
});

describe('the verb', () => {
  const config = (): string => {
    const file = join(tempDir('config'), 'pgproof.yaml');
    writeFileSync(
      file,
      `hosts: {db-7: {}}
repositories: {local: {type: file, path: /no/such/repository}}
clusters: {shop: {host: db-7, connection: {socket: /no/such/socket}, repositories: [local]}}
`,
    );
    return file;
  };

  test('--dry-run prints the unit, with absolute paths, and needs no rights', async () => {
    const file = config();
    const args = ['service', 'install', 'worker', '--dry-run', '--config', file, '--host', 'db-7'];
    const { code, json } = await pgproof(args);
    expect(code).toBe(0);
    expect((json as { unit: string }).unit).toContain(`/pgproof worker --config ${file} --host db-7 --grace 20s`);
  });

  test('a control worker may run on a machine that is none of the hosts', async () => {
    const { code, json } = await pgproof(['service', 'install', 'control', '--dry-run', '--config', config()]);
    expect(code).toBe(0);
    expect((json as { unit: string }).unit).toContain('User=pgproof\n');
  });

  test.each([
    [['worker', '--grace', 'long', '--host', 'db-7', '--dry-run'], 'usage', "'long'"],
    [['worker', '--host', 'db-8', '--dry-run'], 'host-unknown', "'db-8'"],
    [['dashboard', '--dry-run'], 'usage', 'dashboard'],
    [['control'], 'install-refused', 'root'],
  ])('refuses %j', async (args, error, quoted) => {
    const { code, json } = await pgproof(['service', 'install', ...args, '--config', config()]);
    expect(code).toBe(2);
    expect(json).toMatchObject({ error: { code: error, message: expect.stringContaining(quoted) } });
  });
});

describe('service uninstall', () => {
  test('stops every version, waits for them, and removes the template alone', async () => {
    const here = machine(['pgproof-worker@0.1.0.service', 'pgproof-worker@0.2.0.service']);
    const { file } = await installService(optionsOn(here, 'worker'), await findUser(me), here.systemd);
    await removeService(await findService('worker', here.systemd), here.systemd);
    expect(existsSync(file)).toBe(false);
    expect(here.calls().slice(-2)).toEqual([
      'disable --now pgproof-worker@0.1.0.service pgproof-worker@0.2.0.service',
      'daemon-reload',
    ]);
    expect(existsSync(here.configFile)).toBe(true);
  });

  test('says that nothing is installed, and leaves alone what somebody else wrote', async () => {
    const { systemd } = machine();
    await expect(findService('worker', systemd)).rejects.toMatchObject({ code: 'install-refused' });
    writeFileSync(join(systemd.unitDir, 'pgproof-worker@.service'), '[Service]\nUser=postgres\n');
    await expect(findService('worker', systemd)).rejects.toMatchObject({ code: 'install-refused' });
  });
});
