import { Readable } from 'node:stream';
import { runId } from '../../core/ids.ts';
import type { Report } from '../../core/report.ts';
import { canonicalBytes } from '../../repository/document.ts';
import { reportKey } from '../../repository/layout.ts';
import type { Repository } from '../../repository/repository.ts';
import type { ObjectStore, StoredObject } from '../../storage/store.ts';
import { reportOf } from '../sink/support.ts';

const newest = Date.UTC(2026, 10, 20);

/**
 * A repository of so many reports of `shop`, one in ten minutes, none of which is kept anywhere: what is asked for is made. The
 * oldest one failed.
 * @param onRead hears of each report that is read.
 */
export function generatedRepository(count: number, onRead: () => void = () => {}): Repository {
  const timeOf = (index: number): number => newest - (count - index) * 600_000;
  const idAt = (index: number): string => runId(new Date(timeOf(index)), 'backup', index.toString(16).padStart(8, '0'));
  const template = JSON.stringify({ ...reportOf({ at: '20261120T140501Z' }), id: 'ID', uuid: 'UUID' });
  const store = {
    async *list(prefix: string): AsyncIterable<StoredObject> {
      const [, year, month] = /\/reports\/(?:(\d{4})\/(\d{2})\/)?$/.exec(prefix) ?? [];
      const from = year === undefined ? 0 : Date.UTC(Number(year), Number(month) - 1);
      const first = Math.max(0, Math.ceil((from - timeOf(0)) / 600_000));
      for (let index = first; index < count; index += 1) {
        const key = reportKey('shop', idAt(index));
        if (!key.startsWith(prefix)) break;
        yield { key, bytes: 1 };
      }
    },
    async read(key: string): Promise<Readable> {
      onRead();
      const id = key.slice(key.lastIndexOf('/') + 1, -'.json'.length);
      const text = template.replace('ID', id).replace('UUID', `00000000-0000-4000-8000-0000${id.slice(-8)}`);
      return Readable.from([Buffer.from(id === idAt(0) ? text.replace('SUCCESS', 'FAILED') : text)]);
    },
  } as unknown as ObjectStore;
  return { name: 'generated', id: 'g', location: '/g', store, config: { type: 'file', path: '/g' } };
}

/** Files reports as they come, whatever is in them. */
export async function fileReports(repository: Repository, ...reports: Report[]): Promise<void> {
  for (const report of reports)
    await repository.store.create(reportKey(report.cluster, report.id), canonicalBytes(report));
}
