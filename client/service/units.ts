import { basename, dirname, join } from 'node:path';
import { PgproofError } from '../../core/errors.ts';

/** What can be a service: the worker of a database host, the control worker, or `up`, which is everything on one machine. */
export const roles = ['worker', 'control', 'up'] as const;
export type Role = (typeof roles)[number];

export type UnitOptions = {
  role: Role;
  /** The checkout that runs: `/opt/pgproof/0.1.0`. Its last part becomes the instance's name. */
  root: string;
  configFile: string;
  /** That it opens: of this host's clusters, and of payloads. */
  keyFiles: readonly string[];
  /** Its name in the configuration; the control worker has none. */
  host: string | null;
  user: string;
  graceSeconds: number;
};

/** Every version runs the same template, each as an instance of its own: `pgproof-worker@0.1.0.service`. */
export const templateName = (role: Role): string => `pgproof-${role}@.service`;
export const instanceName = (role: Role, root: string): string => `pgproof-${role}@${basename(root)}.service`;

/** First line of what we wrote. A file without it is somebody else's. */
export const marker = '# Written by `pgproof service install`, which writes it anew; changes go into `systemctl edit`.';

/** What systemd waits for after the grace time: steps that are cancelled clean up and file their reports. */
const cleanupSeconds = 60;

export function unitText(options: UnitOptions): string {
  const { role, user, graceSeconds } = options;
  const unit = [
    `Description=pgproof ${descriptions[role]}${options.host === null ? '' : ` of ${options.host}`}, %i`,
    'Wants=network-online.target',
    // Ordered behind the server, so that it is stopped before it.
    `After=network-online.target${role === 'control' ? '' : ' postgresql.service'}`,
    'StartLimitIntervalSec=0',
  ];
  const service = [
    'Type=exec',
    `User=${user}`,
    `ExecStart=${commandOf(options)}`,
    'Environment=PGPROOF_INSTALL=no',
    `Environment=PGPROOF_COMPILED=%C/pgproof/compiled-${role}`,
    `CacheDirectory=pgproof/compiled-${role}`,
    'EnvironmentFile=-/etc/pgproof/environment',
    '# For ever: what is missing may come later.',
    'Restart=always',
    'RestartSec=5s',
    '# Only the worker hears SIGTERM; it ends its servers and tools itself, in order.',
    'KillMode=mixed',
    `TimeoutStopSec=${graceSeconds + cleanupSeconds}s`,
    'StandardOutput=journal',
    'StandardError=journal',
    `SyslogIdentifier=pgproof-${role}`,
    ...hardening(role),
  ];
  return [
    marker,
    ...section('Unit', unit),
    ...section('Service', service),
    ...section('Install', ['WantedBy=multi-user.target']),
    '',
  ].join('\n');
}

const descriptions: Record<Role, string> = {
  worker: 'worker',
  control: 'control worker',
  up: 'with its own Temporal server, worker',
};

const section = (name: string, lines: readonly string[]): string[] => ['', `[${name}]`, ...lines];

function commandOf({ role, root, configFile, host, graceSeconds }: UnitOptions): string {
  const verb = role === 'up' ? ['up'] : role === 'control' ? ['worker', '--control'] : ['worker'];
  const words = [
    ...verb,
    ...['--config', configFile],
    ...(host === null ? [] : ['--host', host]),
    ...(role === 'control' ? [] : ['--grace', `${graceSeconds}s`]),
  ];
  // The folder's name is the instance, so that one file serves every version beside it.
  return [quoted(join(dirname(root), '%i', 'pgproof'), true), ...words.map((word) => quoted(word))].join(' ');
}

/** A word of ExecStart=. @param specifiers whether a percent sign is meant as one of systemd's. */
function quoted(word: string, specifiers = false): string {
  if (/\p{Cc}/u.test(word))
    throw new PgproofError('usage', `${JSON.stringify(word)} holds a control character, which a unit cannot name`, {
      hint: 'Give the configuration and the installation another path.',
    });
  const escaped = (specifiers ? word : word.replaceAll('%', '%%')).replaceAll('$', '$$$$');
  return /^[\w@%+=:,./$-]+$/.test(escaped) ? escaped : `"${escaped.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}

/**
 * What a host's worker is not given would be missed: restores write wherever its user may, servers listen in /tmp, drills
 * make mount namespaces. The control worker only talks to Temporal.
 */
function hardening(role: Role): string[] {
  const all = [
    'UMask=0077',
    'NoNewPrivileges=yes',
    'CapabilityBoundingSet=',
    'ProtectControlGroups=yes',
    'ProtectKernelLogs=yes',
    'ProtectKernelModules=yes',
    'ProtectKernelTunables=yes',
    'ProtectClock=yes',
    'RestrictRealtime=yes',
    'RestrictSUIDSGID=yes',
    'LockPersonality=yes',
    'SystemCallArchitectures=native',
  ];
  const host = [
    'ProtectSystem=full',
    '# A drill that ran out of memory must not take WAL shipping with it.',
    'OOMPolicy=continue',
  ];
  const control = [
    'ProtectSystem=strict',
    'ProtectHome=tmpfs', // not `yes`: a profile that is not there must look like one that is not there
    'ProtectHostname=yes',
    'ProtectProc=invisible',
    'PrivateTmp=yes',
    'PrivateDevices=yes',
    'PrivateUsers=yes',
    'RestrictNamespaces=yes',
    'RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK',
    'SystemCallFilter=@system-service',
    'SystemCallErrorNumber=EPERM',
  ];
  return [...all, ...(role === 'control' ? control : host)];
}
