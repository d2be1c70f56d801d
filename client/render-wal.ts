import { formatBytes, formatSeconds } from '../core/format.ts';
import type { RepositoryWal, WalStatus } from '../wal/status.ts';

/** Where the WAL stands, problems last because that is what a person's eye ends on. */
export function renderWalStatus(name: string, status: WalStatus): string {
  const { spool, shipper } = status;
  const facts: [string, string][] = [
    ['era', status.era ?? 'none is known'],
    [
      'server',
      status.serverLsn === null ? 'does not answer' : `${status.serverLsn} on timeline ${status.serverTimeline}`,
    ],
    [
      'archived to',
      status.frontier === null
        ? 'not known'
        : `${status.frontier} on timeline ${status.timeline}, ${status.archivedSegments} segments`,
    ],
    [
      'behind',
      status.lagBytes === null
        ? 'not known'
        : `${formatBytes(status.lagBytes)}${status.lagSeconds === null ? '' : `, newest archived heartbeat ${formatSeconds(status.lagSeconds)} old`}`,
    ],
    [
      'spool',
      spool.files === 0
        ? 'empty'
        : `${spool.files} ${spool.files === 1 ? 'file' : 'files'}, ${formatBytes(spool.bytes)}`,
    ],
    [
      'shipper',
      `${shipper.alive ? 'runs' : 'does not run'}${shipper.lastShipped === null ? '' : `, last ${shipper.lastShipped} at ${shipper.lastShippedAt}`}`,
    ],
  ];
  const several = status.repositories.length === 1 ? [] : status.repositories.map(repositoryLine);
  const problems = status.problems.flatMap(({ code, message, hint }) => [
    `PROBLEM ${message} [${code}]`,
    ...(hint === null ? [] : [`        ${hint}`]),
  ]);
  return [
    `WAL of ${name}`,
    ...facts.map(([what, value]) => `  ${what.padEnd(13)}${value}`),
    ...several,
    ...problems,
  ].join('\n');
}

function repositoryLine({ name, required, frontier, lagBytes, missing, lacking, shipper }: RepositoryWal): string {
  const words = [
    required ? 'required' : 'not required',
    frontier === null ? 'cannot be asked' : `archived to ${frontier}`,
    ...(lagBytes === null ? [] : [`${formatBytes(lagBytes)} behind`]),
    ...(missing.length === 0 ? [] : ['GAP']),
    ...(lacking === 0 ? [] : [`lacks ${lacking} segments that another has`]),
    ...(shipper.lastShipped === null ? [] : [`last ${shipper.lastShipped}`]),
  ];
  return `  in ${name.padEnd(10)}${words.join(', ')}`;
}
