import { type FSWatcher, watch } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { abortReason } from '../core/abort.ts';

export type FolderNews = {
  /** Ends when something changed in the folder since the last wait, or after `ms`: notices of the file system may get lost. */
  wait(ms: number, signal: AbortSignal): Promise<void>;
  close(): void;
};

/** Watches a folder for new and vanished names; hidden ones do not count. */
export function watchFolder(path: string): FolderNews {
  let news = new AbortController();
  const watcher = tryWatch(path, (name) => {
    if (name === null || !name.startsWith('.')) news.abort();
  });
  return {
    wait: async (ms, signal) => {
      try {
        await sleep(ms, undefined, { signal: AbortSignal.any([signal, news.signal]) });
      } catch {
        if (signal.aborted) throw abortReason(signal);
      }
      news = new AbortController();
    },
    close: () => watcher?.close(),
  };
}

/** The kernel hands out only so many watches; without one (undefined), looking now and then has to do. */
export function tryWatch(path: string, onName: (name: string | null) => void): FSWatcher | undefined {
  try {
    const watcher = watch(path, (_event, name) => onName(name));
    watcher.on('error', () => {});
    return watcher;
  } catch {
    return undefined;
  }
}
