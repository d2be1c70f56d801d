import { resolve } from 'node:path';
import type { Command } from 'commander';
import { PgproofError } from '../core/errors.ts';
import { type PassphrasePlace, readPassphraseAt } from '../repository/passphrase.ts';
import type { Session } from './session.ts';

/** The two ways to say a passphrase; `what` is the end of the first one's description. */
export function passphraseOptions(command: Command, what = ''): Command {
  return command
    .option('--passphrase-file <file>', `a file with the passphrase, mode 0600${what}`)
    .option('--passphrase-env <name>', 'the environment variable that has the passphrase');
}

/**
 * Where the passphrase is: an argument could be read by every user of the machine, and stays in the shell's history. Null where
 * nothing was given.
 * @throws {PgproofError} `usage` when both are.
 */
export function passphrasePlace({ options }: Pick<Session, 'options'>): PassphrasePlace | null {
  const file = options.passphraseFile as string | undefined;
  const env = options.passphraseEnv as string | undefined;
  if (file !== undefined && env !== undefined)
    throw new PgproofError('usage', 'give one of --passphrase-file, --passphrase-env');
  if (file !== undefined) return { file: resolve(file) };
  return env === undefined ? null : { env };
}

/** @throws {PgproofError} as `passphrasePlace` and `readPassphraseAt`. */
export async function readPassphrase(session: Pick<Session, 'options'>): Promise<string | null> {
  const place = passphrasePlace(session);
  return place === null ? null : readPassphraseAt(place);
}
