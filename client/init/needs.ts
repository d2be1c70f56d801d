import { createInterface } from 'node:readline';
import { InvalidArgumentError } from 'commander';
import { durationSeconds, durationText } from '../../core/duration.ts';
import { PgproofError } from '../../core/errors.ts';
import { formatBytes } from '../../core/format.ts';
import { sizeBytes } from '../../core/size.ts';
import type { Needs } from '../../core/strategy/strategy.ts';

type Asked = Pick<Needs, 'bytes' | 'rpo' | 'rto'>;

/** Where questions go, and answers come from. Aborting closes it. */
export type Terminal = { input: NodeJS.ReadableStream; output: NodeJS.WritableStream; signal: AbortSignal };

/** What is taken where nobody says anything else. */
const usualRpo = 300;

/** @throws {InvalidArgumentError} of commander: a flag's value. */
export function sizeFlag(text: string): number {
  return sizeBytes(text) ?? refuse('a size such as 500MB, 20GB or 2TB.');
}

/** @returns seconds. @throws {InvalidArgumentError} of commander: a flag's value. */
export function objectiveFlag(text: string): number {
  return durationSeconds(text) || refuse('a duration of a second or more, such as 30s, 5m, 1h or 1d.');
}

/**
 * The cluster's size, RPO and RTO: what was given, otherwise what a person at the terminal answers, otherwise the measured size, an RPO of
 * five minutes and no RTO.
 * @throws {PgproofError} `cancelled` when the terminal is closed before the last answer.
 */
export async function completeNeeds(
  given: Partial<Asked>,
  measured: number,
  terminal: Terminal | null,
): Promise<Asked> {
  const usual: Asked = { bytes: measured, rpo: usualRpo, rto: null };
  if (terminal === null || Object.keys(given).length === 3) return { ...usual, ...given };
  const lines = createInterface(terminal);
  const answers = lines[Symbol.asyncIterator](); // keeps what is typed ahead
  try {
    const ask = <Value>(question: string, read: (text: string) => Value | undefined, allowed: string) =>
      askUntil(terminal, answers, { question, read, allowed });
    return {
      bytes:
        given.bytes ??
        (await ask(
          `How large will its databases be, together? [now: ${formatBytes(measured)}] `,
          (text) => (text === '' ? measured : sizeBytes(text)),
          'a size such as 500MB, 20GB or 2TB',
        )),
      rpo:
        given.rpo ??
        (await ask(
          `How much work may be lost (RPO)? [${durationText(usualRpo)}] `,
          (text) => (text === '' ? usualRpo : durationSeconds(text) || undefined),
          'a duration such as 30s, 5m, 1h or 1d',
        )),
      rto:
        given.rto ??
        (await ask(
          'How long may a restore take (RTO)? [no objective] ',
          (text) => (text === '' ? null : durationSeconds(text) || undefined),
          'a duration such as 30m, 2h or 1d, or nothing',
        )),
    };
  } finally {
    lines.close();
  }
}

type Question<Value> = { question: string; read(text: string): Value | undefined; allowed: string };

async function askUntil<Value>(
  { output }: Terminal,
  answers: AsyncIterator<string>,
  { question, read, allowed }: Question<Value>,
): Promise<Value> {
  for (;;) {
    output.write(question);
    const { value: line, done } = await answers.next();
    if (done) throw new PgproofError('cancelled', 'the questions were not answered; nothing was touched');
    const value = read(line.trim());
    if (value !== undefined) return value;
    output.write(`'${line.trim()}' is not ${allowed}.\n`);
  }
}

function refuse(allowed: string): never {
  throw new InvalidArgumentError(`it must be ${allowed}`);
}
