import { Command } from 'commander';
import { findCluster } from '../host/cluster.ts';
import { discardConflict, listConflicts } from '../wal/quarantine.ts';
import { reportedWalSync } from '../wal/reported-sync.ts';
import { problemOf } from '../wal/repository-status.ts';
import { walStatus } from '../wal/status.ts';
import { createRestorePoint, switchWal } from '../wal/switch.ts';
import { brokenObjectives } from '../watch/watch.ts';
import { operate, operationOptions } from './operation.ts';
import { renderWalStatus } from './render-wal.ts';
import { type Answer, type Session, verb } from './session.ts';
import { table } from './text.ts';

export const walVerb = (): Command =>
  new Command('wal')
    .description('write-ahead log: where the archive stands, switches, restore points, conflicts')
    .addCommand(
      new Command('status')
        .description('frontier, lag, spool, conflicts; exit 3 when something needs a person')
        .argument('<cluster>')
        .action(verb(status)),
    )
    .addCommand(
      operationOptions(new Command('sync'))
        .description(
          'makes sure that the WAL written until now is in the repositories; exit 3 when the objective is broken',
        )
        .argument('<cluster>')
        .action(verb(sync)),
    )
    .addCommand(
      new Command('switch')
        .description('ends the current segment, so that it is archived now')
        .argument('<cluster>')
        .action(verb(switchSegment)),
    )
    .addCommand(
      new Command('restore-point')
        .description('writes a named point into the WAL, to restore to with --to name:NAME')
        .argument('<cluster>')
        .argument('<name>', 'at most 63 bytes')
        .action(verb(restorePoint)),
    )
    .addCommand(
      new Command('quarantine')
        .description('segments that exist twice with different content, and files that were refused')
        .addCommand(new Command('list').argument('<cluster>').action(verb(quarantine)))
        .addCommand(
          new Command('discard')
            .description('discards one of two contents of a segment, or a refused file; the other becomes restorable')
            .argument('<cluster>')
            .argument('<segment>', 'its name')
            .argument('<tag>', 'which content, as `quarantine list` shows it')
            .action(verb(discard)),
        ),
    );

async function status(session: Session, name: string): Promise<Answer> {
  const { signal } = session;
  // In an outage it is the server, the spool and the shipper that somebody wants to see: a store that is away is a problem among them.
  const cluster = await findCluster(await session.host(), name, { signal, patienceMs: 5000 });
  const status = await walStatus(cluster, { signal });
  // What cannot be asked is among the status' own problems.
  const broken = (await brokenObjectives(cluster, { signal })).filter(({ code }) => code === 'objective-broken');
  const state = { ...status, problems: [...status.problems, ...broken.map(problemOf)] };
  return { json: state, text: renderWalStatus(name, state), exitCode: state.problems.length === 0 ? 0 : 3 };
}

function sync(session: Session, cluster: string): Promise<Answer> {
  return operate(session, {
    operation: 'walSync',
    cluster,
    typed: `pgproof wal sync ${cluster}`,
    offline: (opened, asked) => reportedWalSync(opened, asked, session.run, null),
  });
}

async function switchSegment(session: Session, name: string): Promise<Answer> {
  const switched = await switchWal(await session.cluster(name), { signal: session.signal });
  return { json: switched, text: `segment ${switched.segment} ended at ${switched.lsn}` };
}

async function restorePoint(session: Session, name: string, point: string): Promise<Answer> {
  const made = await createRestorePoint(await session.cluster(name), point, { signal: session.signal });
  return {
    json: { name: point, ...made },
    text: `restore point '${point}' at ${made.lsn}, ${made.at}\nRestore to it with: pgproof restore plan ${name} --to 'name:${point}' --into DIR`,
  };
}

async function quarantine(session: Session, name: string): Promise<Answer> {
  const found = await listConflicts(await session.cluster(name), { signal: session.signal });
  const rows = [
    ...found.conflicts.flatMap(({ segment, tags }) =>
      tags.map((tag) => [segment, tag, 'archived twice with different content']),
    ),
    ...found.foreign.map(({ file, tag, reason }) => [file, tag, reason]),
  ];
  const text = rows.length === 0 ? 'nothing is in quarantine' : table(['FILE', 'TAG', 'WHY'], rows);
  return { json: found, text, exitCode: rows.length === 0 ? 0 : 3 };
}

async function discard(session: Session, name: string, segment: string, tag: string): Promise<Answer> {
  const cluster = await session.cluster(name);
  const result = await discardConflict(cluster, segment, tag, { signal: session.signal });
  return { json: result, text: `discarded ${segment} ${tag}` };
}
