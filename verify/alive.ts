import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Progress, Run } from '../core/run.ts';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import type { Repository } from '../repository/repository.ts';
import type { ObjectStore } from '../storage/store.ts';

/** The run, and a way to say that something came though there is nothing new to tell. */
export function lively(run: Run): { run: Run; alive(): void } {
  let last: Progress = { phase: 'verify' };
  const progress: Run['progress'] = (details) => {
    last = details;
    run.progress(details);
  };
  return { run: { ...run, progress }, alive: () => run.progress(last) };
}

/** The cluster with stores that say so whenever a name or some bytes come: however large an object is, silence is a standstill. */
export function watchedCluster(cluster: ProtectedCluster, alive: () => void): ProtectedCluster {
  const watch = (repository: Repository) => ({ ...repository, store: watchedStore(repository.store, alive) });
  return { ...cluster, repository: watch(cluster.repository), repositories: cluster.repositories.map(watch) };
}

function watchedStore(store: ObjectStore, alive: () => void): ObjectStore {
  return {
    create: (...args) => store.create(...args),
    remove: (...args) => store.remove(...args),
    read: async (...args) => {
      const watch = new Transform({
        transform: (chunk: Buffer, _encoding, done) => {
          alive();
          done(null, chunk);
        },
      });
      const source = await store.read(...args);
      // What goes wrong with it goes on to whoever reads.
      pipeline(source, watch).catch(() => {});
      return watch;
    },
    async *list(...args) {
      for await (const object of store.list(...args)) {
        alive();
        yield object;
      }
    },
  };
}
