import type * as z from 'zod';
import type { cluster } from '../../core/config/cluster.ts';
import type { OldScript, Strategy } from '../../core/strategy/strategy.ts';
import type { Line } from './env-file.ts';
import { hasDumps, type Old, windowDays } from './old.ts';

type Section = z.input<typeof cluster>;

/** What the old scripts did, as the configuration says it. */
export type OldWork = {
  /** Their crontabs, which the strategy knows. */
  scripts: readonly OldScript[];
  tools?: NonNullable<Section['tools']>;
  dumps?: NonNullable<Section['dumps']>;
  /** Days that base backups and WAL were kept for; null where nothing says it. */
  backups: { window: string; wal?: string } | null;
  /** Days that dumps were kept for. */
  dumpDays: number | null;
};

export function workOf(old: Old): OldWork {
  const { scripts = [], container, database, globals, days, baseDays, walDays } = old;
  const dumps = {
    ...(database === undefined || !hasDumps(old) ? {} : { databases: [database] }),
    ...(globals === undefined ? {} : { globals }),
  };
  const window = windowDays(old);
  const wal = walDays !== undefined && walDays > window ? { wal: `${walDays}d` } : {};
  return {
    scripts,
    ...(container === undefined ? {} : { tools: { docker: container } }),
    ...(Object.keys(dumps).length === 0 ? {} : { dumps }),
    backups: baseDays === undefined && walDays === undefined ? null : { window: `${window}d`, ...wal },
    dumpDays: days ?? null,
  };
}

/** Known by the settings that only one of them had; dumps with labels had none. */
export function scriptsOf({ days }: Old, lines: readonly Line[]): OldScript[] {
  const has = (pattern: RegExp): boolean => lines.some(({ name }) => pattern.test(name));
  const physical = has(/^(?:BASE_BACKUP_|WAL_)(?:RETENTION_DAYS|COMPRESSION|ENCRYPTION_ENABLED)$/);
  const files = has(/^(?:BACKUP_(?:MODE|BASE_DIR|UPLOAD_TOOL)|INCLUDE_GLOBALS|OSS_BUCKET)$/);
  const labelled = !files && (days !== undefined || (!physical && has(/^(?:POSTGRES|BACKUP_ENCRYPTION)_/)));
  return [
    ...(physical ? (['physical'] as const) : []),
    ...(files ? (['files'] as const) : []),
    ...(labelled ? (['labelled'] as const) : []),
  ];
}

/** In docker mode the host is a container's name, also where a flag gives another address to look at the server by. */
export function containerOf({ mode }: Old, lines: readonly Line[]): Pick<Old, 'container'> {
  const host = lines.find(({ name }) => name === 'POSTGRES_HOST')?.value;
  const isName = host !== undefined && /^[A-Za-z][A-Za-z0-9_-]{0,127}$/.test(host) && host !== 'localhost';
  return mode === 'docker' && isName ? { container: host } : {};
}

/** The strategy, but what it keeps is kept as long as the old scripts did. */
export function asBefore(strategy: Strategy, { backups, dumpDays }: OldWork): Strategy {
  const why = 'As the old scripts had it.';
  const window = { window: `${dumpDays}d` };
  const tiers = Object.keys(strategy.dumpRetention.value).map((tier) => [tier, window]);
  return {
    ...strategy,
    retention: backups === null ? strategy.retention : { value: backups, why },
    dumpRetention: dumpDays === null ? strategy.dumpRetention : { value: Object.fromEntries(tiers), why },
  };
}
