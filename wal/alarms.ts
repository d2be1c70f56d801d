import type { PgproofError } from '../core/errors.ts';

export type OnAlarm = (alarm: PgproofError) => void;

/** Lets an alarm through when it is new, and again now and then while it lasts: an outage must not fill the log. */
export class Alarms {
  readonly #onAlarm: OnAlarm;
  readonly #repeatAfterMs: number;
  #raised = new Map<string, number>();

  constructor(onAlarm: OnAlarm, repeatAfterMs = 600_000) {
    this.#onAlarm = onAlarm;
    this.#repeatAfterMs = repeatAfterMs;
  }

  /** @param alarms all that is wrong now; what is missing from them has passed, and is news when it comes back. */
  raise(alarms: readonly (PgproofError | null)[]): void {
    const lasting = new Map<string, number>();
    const now = Date.now();
    for (const alarm of alarms) {
      if (alarm === null) continue;
      const key = `${alarm.code} ${alarm.message}`;
      const raisedAt = this.#raised.get(key);
      const isDue = raisedAt === undefined || now - raisedAt >= this.#repeatAfterMs;
      lasting.set(key, isDue ? now : raisedAt);
      if (isDue) this.#onAlarm(alarm);
    }
    this.#raised = lasting;
  }
}
