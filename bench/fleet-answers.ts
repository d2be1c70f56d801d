import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const folder = join(import.meta.dirname, '../test/histories');

/**
 * What each step of a real run answered, by the step's name: payloads of the size they have. From the recorded histories,
 * the newest version's.
 */
export function recordedAnswers(): Map<string, unknown> {
  const answers = new Map<string, unknown>();
  for (const name of readdirSync(folder)
    .filter((each) => each.endsWith('.json'))
    .toSorted())
    for (const [step, answer] of answersIn(JSON.parse(readFileSync(join(folder, name), 'utf8'))))
      answers.set(step, answer);
  return answers;
}

type Payload = { data?: string };
type HistoryEvent = {
  eventId: string;
  activityTaskScheduledEventAttributes?: { activityType: { name: string } };
  activityTaskCompletedEventAttributes?: { scheduledEventId: string; result?: { payloads: Payload[] } };
};

function answersIn({ events }: { events: HistoryEvent[] }): [step: string, answer: unknown][] {
  const scheduled = new Map(
    events.map((event) => [event.eventId, event.activityTaskScheduledEventAttributes?.activityType.name]),
  );
  return events.flatMap(({ activityTaskCompletedEventAttributes: completed }): [string, unknown][] => {
    const step = completed && scheduled.get(completed.scheduledEventId);
    if (completed === undefined || step === undefined) return [];
    const data = completed.result?.payloads[0]?.data;
    return [[step, data === undefined ? undefined : JSON.parse(Buffer.from(data, 'base64').toString())]];
  });
}
