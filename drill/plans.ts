import { readdir, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import * as z from 'zod';
import type { ProtectedCluster } from '../postgres/cluster.ts';
import type { HoldIds } from '../repository/held.ts';
import { restorePlan } from '../restore/record.ts';
import type { DrillFolder } from './folder.ts';

/** Of a frozen plan, what tells whose it is. */
const owned = z.object({ id: z.string(), into: z.string(), holds: restorePlan.shape.holds });

/**
 * A drill's plan is of no use to anybody once its folder is gone: takes it away, and what lies beside it under its id.
 * @returns what it holds, for `releaseHeld`.
 */
export async function forgetPlansInto({ paths }: ProtectedCluster, folder: DrillFolder): Promise<HoldIds> {
  const names = await readdir(paths.plans);
  const holds: HoldIds = [];
  const tail = folder.dataDir.slice(dirname(paths.drills).length);
  for (const name of names.filter((each) => each.endsWith('.json'))) {
    const plan = owned.safeParse(await readJson(join(paths.plans, name)));
    // By the end of the path: its beginning may be spelt otherwise (symbolic links).
    if (!plan.success || !plan.data.into.endsWith(tail)) continue;
    holds.push(...plan.data.holds);
    const beside = names.filter((each) => each.startsWith(`${plan.data.id}.`));
    for (const each of beside) await rm(join(paths.plans, each), { recursive: true, force: true });
  }
  return holds;
}

/** Undefined for what is gone meanwhile, or is no JSON: it is not a drill's plan. */
async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
