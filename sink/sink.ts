import type { SinkConfig } from '../core/config.ts';
import type { Report } from '../core/report.ts';

export type SendReport = (report: Report) => Promise<void>;

/**
 * Opens a session to the sink, makes or completes its table, and hands on a function that puts one report into it: the row of its
 * run, unless a later attempt of that run is there already.
 * @throws {PgproofError} `server-unreachable`, `server-refused`, `password-missing`, `password-open`; `sink-unusable` for a table
 * that cannot take reports; `rights-missing`, with the statements that mend it; of a single report also `sql-failed`, `timeout`.
 */
export type WithSink = <T>(
  sink: SinkConfig,
  use: (send: SendReport) => Promise<T>,
  options: { signal: AbortSignal },
) => Promise<T>;
