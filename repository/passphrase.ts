import { PgproofError } from '../core/errors.ts';
import { readPrivateFile } from './private-file.ts';

/** Where a passphrase is: a file of mode 0600, or an environment variable; never what it is. */
export type PassphrasePlace = { file: string } | { env: string };

/**
 * One line end at its end does not count.
 * @throws {PgproofError} `usage` when it is empty; what `readPrivateFile` throws.
 */
export async function readPassphraseAt(place: PassphrasePlace): Promise<string> {
  const text =
    'file' in place ? (await readPrivateFile(place.file, 'passphrase file')).text : (process.env[place.env] ?? '');
  const passphrase = text.replace(/\r?\n$/, '');
  if (passphrase !== '') return passphrase;
  const where = 'file' in place ? `'${place.file}'` : `the environment variable ${place.env}`;
  throw new PgproofError('usage', `there is no passphrase in ${where}`, {
    hint: 'Give a file that has it: --passphrase-file. A variable has to be set where this runs: a worker has those that it was started with.',
  });
}
