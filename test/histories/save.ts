import { readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import type { StartedRun } from '../../client/temporal.ts';
import type { Fleet } from '../support/fleet.ts';

const root = join(import.meta.dirname, '../..');
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };

export async function historyOf({ temporal }: Fleet, { workflowId }: StartedRun): Promise<string> {
  return historyToJSON(await temporal.client.workflow.getHandle(workflowId).fetchHistory());
}

/** Writes `<name>-<version>.json`; a file that exists is kept. */
export async function saveHistory(fleet: Fleet, name: string, run: StartedRun, folder: string): Promise<void> {
  const file = join(folder, `${name}-${version}.json`);
  try {
    // Who recorded it, and where, is nobody's business.
    const history = (await historyOf(fleet, run)).replaceAll(`@${hostname()}`, '@db-7').replaceAll(root, '/srv/pgproof');
    writeFileSync(file, history, { flag: 'wx' });
    console.log(`recorded ${file}`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    console.log(`kept ${file}`);
  }
}
