import { createWriteStream, globSync, mkdirSync, mkdtempSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { command } from './command.ts';
import { goInstall, removeTree } from './go.ts';
import { TEMPORAL_VERSION } from './locate.ts';
import { ownCache } from './places.ts';
import { say } from './say.ts';

const MODULE = `github.com/temporalio/cli/cmd/temporal@v${TEMPORAL_VERSION}`;

export const temporalByHand = () => `GOBIN=${join(ownCache(), 'temporal', TEMPORAL_VERSION)} go install ${MODULE}`;

/** The pinned Temporal server into the cache: Temporal's own download, or built by Go where that is out of reach. */
export async function installTemporal(): Promise<void> {
  const dir = join(ownCache(), 'temporal', TEMPORAL_VERSION);
  mkdirSync(dirname(dir), { recursive: true });
  for (const left of globSync(`${dir}.tmp.*`)) await removeTree(left);
  const temp = mkdtempSync(`${dir}.tmp.`);
  try {
    await download(temp).catch(async (error) => {
      say(`Temporal's download does not answer (${(error as Error).message}); building it with Go instead`);
      await build(temp);
    });
    const version = await command(join(temp, 'temporal'), ['--version'], { timeoutSeconds: 30 });
    mkdirSync(dir, { recursive: true });
    renameSync(join(temp, 'temporal'), join(dir, 'temporal'));
    say(`${version.trim()} is ready`);
  } finally {
    await removeTree(temp);
  }
}

async function download(temp: string): Promise<void> {
  const arch = process.arch === 'x64' ? 'amd64' : process.arch;
  const url = `https://temporal.download/cli/archive/v${TEMPORAL_VERSION}?platform=linux&arch=${arch}`;
  say(`fetching Temporal ${TEMPORAL_VERSION} from https://temporal.download`);
  const connecting = new AbortController();
  const tooSlow = setTimeout(() => connecting.abort(new Error('no answer within 10 s')), 10_000);
  const response = await fetch(url, { signal: connecting.signal }).finally(() => clearTimeout(tooSlow));
  if (!response.ok || response.body === null) throw new Error(`HTTP ${response.status}`);
  const archive = join(temp, 'archive.tar.gz');
  await pipeline(Readable.fromWeb(response.body as never), createWriteStream(archive), {
    signal: AbortSignal.timeout(600_000),
  });
  await command('tar', ['-C', temp, '-xzf', archive, 'temporal'], { timeoutSeconds: 120 });
}

async function build(temp: string): Promise<void> {
  const byHand = `Get Temporal's CLI ${TEMPORAL_VERSION} onto PATH by hand, or run: ${temporalByHand()}`;
  await goInstall(MODULE, { temp, takes: 'about 3 minutes on 2 cores, once', doing: 'building Temporal', byHand });
}
