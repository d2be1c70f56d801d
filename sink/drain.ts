import { asPgproofError, hasCode, type PgproofError } from '../core/errors.ts';
import type { ReportSink } from '../postgres/cluster.ts';
import { listQueued, readQueued, removeQueued, setAside } from '../report/outbox.ts';
import { type SendReport, withSink } from './sink.ts';

/** `refused`: those that the table did not take, each on its own account; they wait on. */
export type Drained = { sent: number; refused: PgproofError[]; setAside: PgproofError[] };

/**
 * Sends what waits in the outbox, oldest first, each removed once its row is committed. One that cannot be sent does not hold up
 * the others.
 * @throws {PgproofError} as `withSink`, when the table as a whole takes nothing; what was not sent waits on.
 */
export async function drainOutbox(sink: ReportSink, { signal }: { signal: AbortSignal }): Promise<Drained> {
  const drained: Drained = { sent: 0, refused: [], setAside: [] };
  const names = await listQueued(sink.outbox);
  if (names.length === 0) return drained;
  await withSink(
    sink,
    async (send) => {
      for (const name of names) {
        signal.throwIfAborted();
        await drainOne(sink.outbox, name, send, drained);
      }
    },
    { signal },
  );
  return drained;
}

async function drainOne(outbox: string, name: string, send: SendReport, drained: Drained): Promise<void> {
  try {
    const report = await readQueued(outbox, name);
    if (report === null) return;
    await send(report);
    await removeQueued(outbox, name);
    drained.sent += 1;
  } catch (error) {
    if (hasCode(error, 'sql-failed') && isOfTheRow(error)) drained.refused.push(told(name, error));
    else if (hasCode(error, 'record-invalid', 'repository-format')) {
      await setAside(outbox, name);
      drained.setAside.push(told(name, error));
    } else throw asPgproofError(error);
  }
}

/** 22: data exception; 23: a constraint; P0: a trigger's. Everything else is wrong with the table or the server, and so with every row. */
const isOfTheRow = ({ facts }: PgproofError): boolean => /^(?:2[23]|P0)/.test(String(facts.sqlstate));

const told = (name: string, error: PgproofError): PgproofError =>
  error.retold({ message: `the report in '${name}': ${error.message}`, facts: { file: name } });
