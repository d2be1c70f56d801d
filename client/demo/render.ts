import { type BackupResult, backupResult, type DrillResult, drillResult } from '../../core/report.ts';
import { renderReport } from '../../report/render.ts';
import { cacheFolders } from './caches.ts';
import { clusterName, type Played } from './play.ts';
import type { Stage } from './stage.ts';

/** What the demo answers under --json. */
export type Shown = {
  backup: Pick<BackupResult, 'id' | 'type' | 'sizeBytes' | 'storedBytes' | 'durationSeconds'>;
  wal: { shippedSegments: number; frontier: string | null };
  drill: Pick<
    DrillResult,
    | 'verdict'
    | 'kind'
    | 'target'
    | 'reached'
    | 'phases'
    | 'rtoSeconds'
    | 'rpoSeconds'
    | 'rpoReason'
    | 'targetErrorSeconds'
    | 'checks'
  >;
  reports: string[];
};

export function summary({ backup, drill, wal }: Played): Shown {
  const { id, type, sizeBytes, storedBytes, durationSeconds } = backupResult.parse(backup.result);
  const { verdict, kind, target, reached, phases, rtoSeconds, rpoSeconds, rpoReason, targetErrorSeconds, checks } =
    drillResult.parse(drill.result);
  return {
    backup: { id, type, sizeBytes, storedBytes, durationSeconds },
    wal: { shippedSegments: wal.archivedSegments, frontier: wal.frontier },
    drill: { verdict, kind, target, reached, phases, rtoSeconds, rpoSeconds, rpoReason, targetErrorSeconds, checks },
    reports: [backup.reportFile, drill.reportFile],
  };
}

/** Both reports, and what stays on the machine. */
export function renderDemo(played: Played, stage: Stage, keep: boolean): string {
  const { backup, drill, wal, orders } = played;
  return [
    renderReport(backup, { reportFile: backup.reportFile }),
    '',
    `WAL: ${wal.archivedSegments} segments in the repository, complete up to ${wal.frontier}; ${orders} orders were placed meanwhile.`,
    '',
    renderReport(drill, {
      reportFile: drill.reportFile,
      temporalUrl: keep ? `http://127.0.0.1:${stage.ports.ui}` : null,
    }),
    '',
    ...(keep ? kept(played, stage) : gone()),
  ].join('\n');
}

function kept({ toolsBin, upPid }: Played, stage: Stage): string[] {
  const config = `--config ${stage.configFile} --host demo`;
  return [
    'Left running:',
    `  Temporal UI   http://127.0.0.1:${stage.ports.ui}   (start another drill there: type drill, queue pgproof-main, input {"cluster": "${clusterName}"})`,
    `  cluster       psql -h ${stage.socketDir} -U postgres`,
    `  pgproof       XDG_STATE_HOME=${stage.root} ./pgproof list ${clusterName} ${config}`,
    `  stop it all   kill ${upPid}; ${toolsBin}/pg_ctl -D ${stage.dataDir} stop -m fast; while kill -0 ${upPid}; do sleep 1; done; rm -rf ${stage.root}`,
  ];
}

function gone(): string[] {
  return [
    'The demo has removed its cluster, repository and Temporal server; ./pgproof demo --keep leaves them running, with the reports and the web UI.',
    ...cacheFolders().map((folder) => `Kept for the next time: ${folder}`),
    'Next: docs/quick-start.md does the same with your own cluster.',
  ];
}
