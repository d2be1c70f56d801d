import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, openSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import { until } from '../support/stage.ts';

/**
 * An older build of pgproof as it was, from its sources in this folder (build-<commit>.tar.zst, only ever added to), on the
 * packages of today.
 */
export function unpackOlder(into: string): string {
  const name = readdirSync(import.meta.dirname).find((file) => file.endsWith('.tar.zst'));
  if (name === undefined) throw new Error('no older build is kept in test/versions');
  const folder = join(into, 'older');
  mkdirSync(folder);
  const tar = zstdDecompressSync(readFileSync(join(import.meta.dirname, name)));
  execFileSync('tar', ['-x', '-C', folder], { input: tar });
  symlinkSync(join(import.meta.dirname, '../../node_modules'), join(folder, 'node_modules'));
  return folder;
}

export type Build = {
  args: readonly string[];
  logFile: string;
  pid: number;
  ended: Promise<unknown>;
  kill(signal: NodeJS.Signals): void;
  stop(): Promise<void>;
};

/** `pgproof ARGS` of a build, once it takes work. @param root its folder: an older one's, or this checkout. */
export async function runBuild(root: string, args: string[], logFile: string): Promise<Build> {
  const log = openSync(logFile, 'a');
  const node = join(import.meta.dirname, '../../node_modules/.bin/node');
  const env = { ...process.env, TEMPORAL_CONFIG_FILE: '/no-such-file' };
  const child = spawn(node, [join(root, 'client/main.ts'), ...args], { stdio: ['ignore', log, log], env });
  const ended = once(child, 'exit');
  await until(() => {
    if (hasEnded(child)) throw new Error(`it ended: ${readFileSync(logFile, 'utf8')}`);
    return readFileSync(logFile, 'utf8').includes('takes work');
  });
  return {
    args,
    logFile,
    pid: child.pid as number,
    ended,
    kill: (signal) => void child.kill(signal),
    stop: async () => {
      if (!hasEnded(child)) child.kill('SIGTERM');
      await ended;
    },
  };
}

const hasEnded = ({ exitCode, signalCode }: ChildProcess): boolean => exitCode !== null || signalCode !== null;
