import { fileURLToPath } from 'node:url';
import { Argument, Command } from 'commander';
import type { Config } from '../core/config.ts';
import { PgproofError } from '../core/errors.ts';
import { findConfig, parseConfig } from '../host/config.ts';
import { refuseWhileArchiving } from './service/archiving.ts';
import { type Installed, installService } from './service/install.ts';
import { type Kept, keptPlaces } from './service/kept.ts';
import { asUser, findUser } from './service/os-user.ts';
import { systemdHere } from './service/systemd.ts';
import { findService, removeService } from './service/uninstall.ts';
import { type Role, roles, type UnitOptions, unitText } from './service/units.ts';
import { type Answer, type Session, verb } from './session.ts';
import { graceOf, graceOption } from './worker.ts';

const role = (): Argument => new Argument('<role>', 'what runs here').choices(roles);

export const serviceVerb = (): Command =>
  new Command('service')
    .description('systemd services: the worker of a database host, a control worker, or `up`')
    .addCommand(
      graceOption(new Command('install'))
        .description('writes the unit of this version and starts it; other versions finish what they do and end')
        .addArgument(role())
        .option('--user <name>', 'OS user it runs as; default postgres, and pgproof for a control worker')
        .option('--dry-run', 'prints the unit and touches nothing')
        .action(verb(install)),
    )
    .addCommand(
      new Command('uninstall')
        .description('stops the service and removes its unit; refuses while a server archives through it')
        .addArgument(role())
        .action(verb(uninstall)),
    );

async function install(session: Session, name = ''): Promise<Answer> {
  const options = await unitOptions(session, name as Role);
  const text = unitText(options);
  if (session.options.dryRun === true) return { json: { unit: text }, text: text.trimEnd() };
  refuseOthers('install');
  const installed = await installService(options, await findUser(options.user), systemdHere());
  return { json: installed, text: tellInstalled(installed) };
}

/** All that the unit says, of a configuration that was read and found right. */
async function unitOptions(session: Session, name: Role): Promise<UnitOptions> {
  const { options } = session;
  const graceSeconds = graceOf(session);
  const host = name === 'control' ? null : await session.host();
  const { path, text } = await findConfig(options.config as string | undefined);
  const config = parseConfig(path, text);
  return {
    role: name,
    root: fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, ''),
    configFile: path,
    keyFiles: keyFilesOf(config, host?.name),
    host: host?.name ?? null,
    user: (options.user as string | undefined) ?? (name === 'control' ? 'pgproof' : 'postgres'),
    graceSeconds,
  };
}

function keyFilesOf({ clusters, keys, temporal }: Config, host: string | undefined): string[] {
  const here = Object.values(clusters).filter((cluster) => host !== undefined && cluster.host.includes(host));
  const names = [temporal.codec, ...here.flatMap(({ key, walKey }) => [key, walKey])];
  return [...new Set(names)].flatMap((key) => (key === undefined ? [] : (keys[key]?.file ?? [])));
}

async function uninstall(session: Session, name = ''): Promise<Answer> {
  refuseOthers('uninstall');
  const systemd = systemdHere();
  const service = await findService(name as Role, systemd);
  if (name === 'control') {
    const stopped = await removeService(service, systemd);
    return { json: { stopped, removed: service.file }, text: `removed ${service.file}` };
  }
  const [host, user] = [await session.host(), await findUser(service.user)];
  await asUser(user, () => refuseWhileArchiving(host.config, host.name, session.signal));
  const stopped = await removeService(service, systemd);
  const places = await keptPlaces(host, user);
  return { json: { stopped, removed: service.file, ...places }, text: tellRemoved(service.file, places) };
}

function refuseOthers(what: string): void {
  if (process.getuid?.() === 0) return;
  throw new PgproofError('install-refused', `service ${what} writes below /etc/systemd, which is root's`, {
    hint: `Run it as root.${what === 'install' ? ' What it would write is shown by: pgproof service install ROLE --dry-run' : ''}`,
  });
}

function tellInstalled({ unit, file, replaced, started }: Installed): string {
  if (!started)
    return `wrote ${file}\nsystemd does not run here, so nothing was started. Where it does:\n  systemctl daemon-reload && systemctl enable --now ${unit}`;
  return [
    `${unit} runs; its unit is ${file}`,
    ...replaced.map(
      (other) => `${other} takes no more work, and ends when its running steps have ended or their time is over`,
    ),
    `its log: journalctl -u ${unit}`,
  ].join('\n');
}

function tellRemoved(file: string, { kept, unshipped }: { kept: Kept; unshipped: Kept }): string {
  return [
    `removed ${file}; kept, for you to keep or to remove:`,
    ...kept.map(({ what, where }) => `  ${what.padEnd(17)}${where}`),
    ...unshipped.map(
      ({ what, where }) =>
        `NOT YET IN A REPOSITORY: ${what}, in ${where}. A worker ships them: pgproof worker, until wal status says so`,
    ),
  ].join('\n');
}
