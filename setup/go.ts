import { globSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { hasApt } from './apt.ts';
import { command } from './command.ts';
import { locateProgram } from './locate.ts';
import { SetupError, say } from './say.ts';
import { unpackTree } from './unpack.ts';

/**
 * Builds one program of a Go module into `temp`, with everything that the build needs below it: the caller removes that.
 * @param options.takes for the person who waits · doing names the progress · byHand is said when it fails.
 */
export async function goInstall(
  module: string,
  options: { temp: string; takes: string; doing: string; byHand: string },
): Promise<void> {
  const { temp, takes, doing, byHand } = options;
  const go = (await hostGo()) ?? (await unpackGo(temp, byHand));
  say(`go install ${module} (${takes})`);
  const configHome = process.env.XDG_CONFIG_HOME || join(homedir(), '.config');
  const env = {
    ...process.env,
    GOBIN: temp,
    GOPATH: join(temp, 'go'),
    GOMODCACHE: join(temp, 'go/pkg/mod'),
    GOCACHE: join(temp, 'go/cache'),
    GOENV: process.env.GOENV ?? join(configHome, 'go/env'),
    XDG_CONFIG_HOME: join(temp, 'config'), // Go keeps usage counters there, and nothing of this build may stay
    GOTOOLCHAIN: 'auto', // the module names its toolchain; Go fetches it from the module proxy
    GOFLAGS: '-modcacherw',
    CGO_ENABLED: '0',
  };
  await command(go, ['install', module], { env, timeoutSeconds: 1800, doing }).catch((error) => {
    throw new SetupError(`${error.message}\n${byHand}`);
  });
}

/** Go 1.21 is the first that fetches a newer toolchain by itself. */
async function hostGo(): Promise<string | undefined> {
  const go = locateProgram('go') ?? globSync('/usr/local/go/bin/go')[0];
  if (go === undefined) return undefined;
  const version = await command(go, ['env', 'GOVERSION'], {
    timeoutSeconds: 30,
    env: { ...process.env, GOTOOLCHAIN: 'local' },
  });
  return Number(/^go1\.(\d+)/.exec(version)?.[1] ?? 0) >= 21 ? go : undefined;
}

/** Go for this one build: nothing of it stays. Debian 12's is too old, so it is that of Debian 13 everywhere. */
async function unpackGo(temp: string, byHand: string): Promise<string> {
  if (!hasApt()) throw new SetupError(`neither go (1.21 or newer) nor apt is here; install Go first. ${byHand}`);
  const dir = join(temp, 'golang');
  const programs = ['usr/lib/go-*/bin/*', 'usr/lib/go-*/pkg/tool/*/*'];
  await unpackTree({ suite: 'trixie', packages: ['golang-go'], dir, programs, stamp: '.golang' });
  const go = globSync(join(dir, 'usr/lib/go-*/bin/go'))[0];
  if (go === undefined) throw new SetupError('the package golang-go brought no go');
  return go;
}

/** Go makes some of its folders read-only, also for their owner. */
export async function removeTree(dir: string): Promise<void> {
  await command('chmod', ['-R', 'u+w', dir], { timeoutSeconds: 120 });
  rmSync(dir, { recursive: true, force: true });
}
