import { resolve } from 'node:path';
import type { Command } from 'commander';
import { PgproofError } from '../core/errors.ts';
import { readPrivateFile } from '../repository/private-file.ts';
import type { Session } from './session.ts';

/** The two ways to say a passphrase; `what` is the end of the first one's description. */
export function passphraseOptions(command: Command, what = ''): Command {
  return command
    .option('--passphrase-file <file>', `a file with the passphrase, mode 0600${what}`)
    .option('--passphrase-env <name>', 'the environment variable that has the passphrase');
}

/**
 * From a file or the environment: an argument could be read by every user of the machine, and stays in the shell's history. One line
 * end at its end does not count.
 * @returns null where neither was given.
 * @throws {PgproofError} `usage` when both are, or when it is empty; what `readPrivateFile` throws.
 */
export async function readPassphrase({ options }: Pick<Session, 'options'>): Promise<string | null> {
  const file = options.passphraseFile as string | undefined;
  const variable = options.passphraseEnv as string | undefined;
  if (file === undefined && variable === undefined) return null;
  if (file !== undefined && variable !== undefined)
    throw new PgproofError('usage', 'give one of --passphrase-file, --passphrase-env');
  const text =
    file === undefined
      ? process.env[variable as string]
      : (await readPrivateFile(resolve(file), 'passphrase file')).text;
  const passphrase = text?.replace(/\r?\n$/, '') ?? '';
  if (passphrase !== '') return passphrase;
  const where = file === undefined ? `the environment variable ${variable}` : `'${file}'`;
  throw new PgproofError('usage', `there is no passphrase in ${where}`);
}
