import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type BenchFleet, openBenchFleet } from '../../bench/fleet-of.ts';
import { readDelays, readRuns } from '../../bench/fleet-runs.ts';
import { applyFleet } from '../../bench/fleet-schedules.ts';
import { until } from '../support/stage.ts';
import { bundleCache } from '../support/temporal.ts';

/** bench/fleet on three clusters for some seconds, so that it cannot rot; and what a run may cost, because it runs 96 times a day. */
describe('the fleet of the bench', () => {
  let fleet: BenchFleet;

  beforeAll(async () => {
    fleet = await openBenchFleet(3, bundleCache());
  });
  afterAll(() => fleet?.close());

  test('runs by its schedules; a walSync is three steps, marks nothing itself and sends no heartbeat', async () => {
    const { client } = fleet.temporal;
    fleet.hosts.pace(1000);
    expect(await applyFleet(fleet, 180)).toMatchObject({ schedules: 24 });
    const since = new Date(0);
    const ended = async () => (await readRuns(fleet, since)).ended.walSync?.runs ?? 0;
    await until(async () => (await ended()) >= 3);
    await until(async () => (await readDelays(fleet, since)).begun.length > 0);
    expect((await readRuns(fleet, since)).failed).toBe(0);

    const whole = client.workflow.list({ query: `WorkflowType = 'walSync' AND ExecutionStatus = 'Completed'` });
    const { value: run } = await whole[Symbol.asyncIterator]().next();
    const { events } = await client.workflow.getHandle(run.workflowId).fetchHistory();
    const count = (name: string) => (events ?? []).filter((event) => event[name as 'eventId'] != null).length;
    expect(count('activityTaskScheduledEventAttributes')).toBe(3);
    expect(count('upsertWorkflowSearchAttributesEventAttributes')).toBe(0);
    expect((await fleet.server.figures()).actions).toMatchObject({ command_ScheduleActivityTask: expect.any(Number) });
    expect((await fleet.server.figures()).actions.grpc_RecordActivityTaskHeartbeat ?? 0).toBe(0);
  });
});
