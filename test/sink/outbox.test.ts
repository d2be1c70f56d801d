import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { doOffline } from '../../client/offline.ts';
import type { Session } from '../../client/session.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import { reported } from '../../report/file.ts';
import { listQueued, queueReport, readQueued } from '../../report/outbox.ts';
import { initRepository } from '../../repository/repository.ts';
import { withRepositories } from '../support/repositories.ts';
import { tempDir } from '../support/temp.ts';
import { reportOf, sinkTo, type TestSink } from './support.ts';

const nowhere = { socketDir: '/nonexistent', port: 5432 };

async function clusterWith(sink: TestSink | null): Promise<ProtectedCluster> {
  const repository = await initRepository('local', { type: 'file', path: join(tempDir(), 'repository') });
  const config = { connection: { port: 5432 } };
  return { name: 'shop', host: 'db-7', config, sink, ...withRepositories([repository]) } as ProtectedCluster;
}

const work = (cluster: ProtectedCluster, errorMessage: string | null = null) =>
  reported(
    cluster,
    { operation: 'restore', workflow: null, requestedBy: null, reason: null },
    errorMessage === null
      ? async () => ({ status: 'SUCCESS', result: {} })
      : () => Promise.reject(new Error(errorMessage)),
  );

test('every report, of failures too, waits in the outbox as it is in the repository', async () => {
  const sink = sinkTo(nowhere);
  const cluster = await clusterWith(sink);
  const { report } = await work(cluster);
  await expect(work(cluster, 'no room')).rejects.toThrow();
  const names = await listQueued(sink.outbox);
  const queued = await Promise.all(names.map((name) => readQueued(sink.outbox, name)));
  expect(queued).toContainEqual(report);
  expect(queued.map((one) => one?.status).sort()).toEqual(['FAILED', 'SUCCESS']);
});

test('a report that no repository takes is on its way to the table all the same', async () => {
  const sink = sinkTo(nowhere);
  const cluster = await clusterWith(sink);
  const broken = { create: () => Promise.reject(new Error('away')) } as never;
  const away = { ...cluster, repositories: [{ ...cluster.repository, store: broken }] };
  await expect(work(away)).rejects.toThrow('away');
  expect(await listQueued(sink.outbox)).toHaveLength(1);
});

test('scenario 42: what waits in the outbox holds no secret', async () => {
  const sink = sinkTo(nowhere);
  await expect(work(await clusterWith(sink), "could not connect: password='hunter2'")).rejects.toThrow();
  const [name] = await listQueued(sink.outbox);
  expect(JSON.stringify(await readQueued(sink.outbox, name as string))).not.toContain('hunter2');
});

test('an outbox that cannot be written fails no operation, and is told with how to make up for it', async () => {
  const sink = sinkTo(nowhere);
  writeFileSync(sink.outbox, 'a file where the folder should be');
  const { report } = await work(await clusterWith(sink));
  expect(report.status).toBe('SUCCESS');
  expect(sink.unqueued).toMatchObject([{ facts: { report: report.id }, hint: expect.stringContaining('--send') }]);
});

test('the outbox has an end: what does not fit is told, and what is in it stays', async () => {
  const sink = sinkTo(nowhere);
  const reports = ['20261120T140501Z', '20261120T140502Z', '20261120T140503Z'].map((at) => reportOf({ at }));
  for (const report of reports) await queueReport(sink, report, 2);
  expect(sink.unqueued).toMatchObject([{ code: 'outbox-full' }]);
  expect(await listQueued(sink.outbox)).toEqual(reports.slice(0, 2).map(({ id }) => `${id}.shop.json`));
});

test('without a sink nothing is put anywhere', async () => {
  const { report } = await work(await clusterWith(null));
  expect(report.status).toBe('SUCCESS');
});

test('an offline run with its sink away answers all the same, and says that the report waits', async () => {
  const sink = sinkTo(nowhere);
  const cluster = await clusterWith(sink);
  const said: string[] = [];
  const session = {
    cluster: async () => cluster,
    signal: new AbortController().signal,
    say: (line: string) => said.push(line),
  };
  const { report } = await doOffline(session as unknown as Session, 'shop', (opened) => work(opened));
  expect(report.status).toBe('SUCCESS');
  expect(said).toEqual([expect.stringContaining('the report waits for the report sink: no connection')]);
  expect(await listQueued(sink.outbox)).toHaveLength(1);
});
