import pg from 'pg';
import { isDumped } from '../core/dumped.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import type { ServerFacts } from '../postgres/server.ts';
import { archiveCommand } from '../wal/archive-command.ts';
import { hbaLines, identLines } from './hba.ts';
import type { Proposal, SettingChange } from './proposal.ts';
import { roleSql } from './role.ts';

export type { Proposal, SettingChange } from './proposal.ts';

/** A base backup takes one sender, and a second must be free for a standby or another tool. */
const leastWalSenders = 2;

/**
 * What a superuser has to do in this server before pgproof can protect it. Asks nothing and changes nothing.
 * @param facts from a role that sees all settings; what it could not see is proposed.
 */
export function propose(
  cluster: Pick<ProtectedCluster, 'config' | 'paths'>,
  facts: Pick<ServerFacts, 'settings'>,
): Proposal {
  const { connection } = cluster.config;
  const dumps = isDumped(cluster.config);
  const settings = proposeSettings(cluster, facts.settings);
  return {
    role: connection.user,
    database: connection.database,
    roleSql: roleSql(connection, dumps),
    settings,
    settingsSql: settingsSql(settings),
    hba: hbaLines(connection, dumps),
    ident: identLines(connection),
    restart: settings.some(({ restart }) => restart),
  };
}

/** The settings that differ from what pgproof needs. */
export function proposeSettings(
  { config, paths }: Pick<ProtectedCluster, 'config' | 'paths'>,
  current: Readonly<Record<string, string>>,
): SettingChange[] {
  const rpo = config.objectives.rpo;
  const timeout = Number(current.archive_timeout ?? 0);
  const command = archiveCommand(paths);
  const wrong: [boolean, Omit<SettingChange, 'current'>][] = [
    [
      !['replica', 'logical'].includes(current.wal_level ?? ''),
      {
        name: 'wal_level',
        proposed: 'replica',
        restart: true,
        reason: 'WAL of level minimal cannot be recovered from an archive',
      },
    ],
    [
      !['on', 'always'].includes(current.archive_mode ?? ''),
      { name: 'archive_mode', proposed: 'on', restart: true, reason: 'without it PostgreSQL hands over no WAL' },
    ],
    [
      (current.archive_library ?? '') !== '',
      {
        name: 'archive_library',
        proposed: '',
        restart: false,
        reason: 'a library would be used in place of archive_command',
      },
    ],
    [
      current.archive_command !== command,
      {
        name: 'archive_command',
        proposed: command,
        restart: false,
        reason: 'it has to hand finished WAL to the spool of this host',
      },
    ],
    [
      timeout === 0 || timeout > rpo,
      {
        name: 'archive_timeout',
        // Shipping takes its part of the objective.
        proposed: `${Math.max(1, Math.floor(rpo * 0.8))}s`,
        restart: false,
        reason: `the objective is to lose at most ${rpo} s; an unfinished segment is not archived`,
      },
    ],
    [
      Number(current.max_wal_senders ?? 0) < leastWalSenders,
      { name: 'max_wal_senders', proposed: '10', restart: true, reason: 'base backups need a WAL sender' },
    ],
  ];
  return wrong.flatMap(([applies, change]) => (applies ? [{ ...change, current: current[change.name] ?? null }] : []));
}

/** The statement that makes one change; reload or restart follows. */
export function alterSystem({ name, proposed }: Pick<SettingChange, 'name' | 'proposed'>): string {
  return `ALTER SYSTEM SET ${name} = ${pg.escapeLiteral(proposed)};`;
}

function settingsSql(settings: readonly SettingChange[]): string {
  if (settings.length === 0) return '';
  const restart = settings.some((change) => change.restart);
  const last = restart ? '-- then restart PostgreSQL' : 'SELECT pg_reload_conf();';
  return [
    '-- as a superuser',
    ...settings.map((change) => `${alterSystem(change)}  -- ${change.reason}`),
    last,
    '',
  ].join('\n');
}
