import { type Client, type ScheduleDescription, ScheduleNotFoundError } from '@temporalio/client';
import type { Config } from '../../core/config.ts';
import { inParallel } from '../../core/parallel.ts';
import { schedulePrefix, type WantedSchedule, wantedSchedules } from '../../core/schedule/wanted.ts';
import { patiently, width } from './calls.ts';

/** A schedule of the fleet: as the configuration has it, as Temporal has it, or both. */
export type FleetSchedule = {
  id: string;
  cluster: string;
  name: string;
  wanted: WantedSchedule | undefined;
  found: ScheduleDescription | undefined;
};

/**
 * Every schedule that the configuration or Temporal has, sorted by id. Each is asked for by its id: lists in Temporal are
 * some seconds behind.
 * @param cluster only this one's.
 */
export async function readSchedules(
  client: Client,
  config: Config,
  { signal, cluster }: { signal: AbortSignal; cluster?: string },
): Promise<FleetSchedule[]> {
  const wanted = new Map(wantedSchedules(config).map((schedule) => [schedule.id, schedule]));
  const listed = await patiently(client, signal, () => listedIds(client, config.fleet));
  const ids = [...new Set([...wanted.keys(), ...listed])]
    .filter((id) => cluster === undefined || placeOf(config, id).cluster === cluster)
    .sort();
  const schedules: FleetSchedule[] = [];
  await inParallel(ids, { width, signal }, async (id) => {
    const found = await patiently(client, signal, () => describe(client, id));
    if (found === undefined && !wanted.has(id)) return; // deleted a moment ago
    schedules.push({ id, ...placeOf(config, id), wanted: wanted.get(id), found });
  });
  return schedules.sort((one, other) => (one.id < other.id ? -1 : 1));
}

async function listedIds(client: Client, fleet: string): Promise<string[]> {
  const ids: string[] = [];
  for await (const { scheduleId } of client.schedule.list({ pageSize: 1000 }))
    if (scheduleId.startsWith(schedulePrefix(fleet))) ids.push(scheduleId);
  return ids;
}

async function describe(client: Client, id: string): Promise<ScheduleDescription | undefined> {
  try {
    return await client.schedule.getHandle(id).describe();
  } catch (error) {
    if (error instanceof ScheduleNotFoundError) return undefined;
    throw error;
  }
}

function placeOf({ fleet }: Config, id: string): { cluster: string; name: string } {
  const [cluster = '', ...name] = id.slice(schedulePrefix(fleet).length).split('/');
  return { cluster, name: name.join('/') };
}
