import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import type { Logger } from 'pino';
import type { Config } from '../../core/config.ts';
import { asPgproofError } from '../../core/errors.ts';
import { applySchedules } from './apply.ts';
import { driftOf, planSchedules, type SchedulePlan } from './plan.ts';

type Options = {
  log: Logger;
  signal: AbortSignal;
  /** Bring them together first: for a server that is disposable, and has no schedules but ours. */
  apply: boolean;
  /** Between two looks. @defaultValue an hour */
  everyMs?: number;
};

/** After a look that failed. */
const retryMs = 60_000;

/** Says at once and every hour when Temporal's schedules are not those of the configuration, until `signal` aborts. */
export async function watchSchedules(
  client: Client,
  config: Config,
  { log, signal, apply, everyMs = 3_600_000 }: Options,
): Promise<void> {
  let toApply = apply;
  while (!signal.aborted) {
    try {
      if (toApply) await applyAll(client, config, { log, signal });
      toApply = false;
      say(await planSchedules(client, config, { signal }), log);
      await sleep(everyMs, undefined, { signal });
    } catch (thrown) {
      if (signal.aborted) return;
      const error = asPgproofError(thrown);
      log.error(
        { ...error.toDocument(), retryInMs: retryMs },
        `the schedules could not be looked at: ${error.message}; trying again`,
      );
      await sleep(retryMs, undefined, { signal }).catch(() => undefined);
    }
  }
}

async function applyAll(
  client: Client,
  config: Config,
  { log, signal }: Pick<Options, 'log' | 'signal'>,
): Promise<void> {
  const plan = await planSchedules(client, config, { signal });
  await applySchedules(client, plan, { confirmed: true, signal });
  if (plan.changes.length > 0) log.info({ changes: plan.changes.length }, 'the schedules are applied');
}

function say(plan: SchedulePlan, log: Logger): void {
  const drift = driftOf(plan);
  if (drift !== undefined) log.error({ ...drift.toDocument() }, drift.message);
  if (plan.paused.length === 0) return;
  const paused = plan.paused.map(({ cluster, name, note }) => `${cluster}/${name}: ${note}`).slice(0, 20);
  log.warn({ paused, count: plan.paused.length }, `${plan.paused.length} schedules are paused`);
}
