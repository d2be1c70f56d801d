import { globSync, mkdirSync, mkdtempSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { command } from './command.ts';
import { goInstall, removeTree } from './go.ts';
import { VERSITYGW_VERSION } from './locate.ts';
import { ownCache } from './places.ts';
import { say } from './say.ts';

const MODULE = `github.com/versity/versitygw/cmd/versitygw@v${VERSITYGW_VERSION}`;

export const versitygwByHand = () => `GOBIN=${join(ownCache(), 'versitygw', VERSITYGW_VERSION)} go install ${MODULE}`;

/** The pinned S3 server for tests into the cache, built by Go. */
export async function installVersitygw(): Promise<void> {
  const dir = join(ownCache(), 'versitygw', VERSITYGW_VERSION);
  mkdirSync(dirname(dir), { recursive: true });
  for (const left of globSync(`${dir}.tmp.*`)) await removeTree(left);
  const temp = mkdtempSync(`${dir}.tmp.`);
  try {
    const byHand = `Get versitygw ${VERSITYGW_VERSION} by hand: ${versitygwByHand()}`;
    await goInstall(MODULE, { temp, takes: 'about 80 s on 2 cores, once', doing: 'building versitygw', byHand });
    await command(join(temp, 'versitygw'), ['--version'], { timeoutSeconds: 30 });
    mkdirSync(dir, { recursive: true });
    renameSync(join(temp, 'versitygw'), join(dir, 'versitygw'));
    say(`versitygw ${VERSITYGW_VERSION} is ready`);
  } finally {
    await removeTree(temp);
  }
}
