import { resolve } from 'node:path';
import { PgproofError } from '../../core/errors.ts';
import type { Opener, WrapFor } from '../../repository/age-file.ts';
import { keyFileText, openKeyFile } from '../../repository/key-file.ts';
import { readPrivateFile } from '../../repository/private-file.ts';
import { createPrivateFile } from '../../repository/private-file-write.ts';
import { unwrapKeySets, wrapKeySets } from '../../repository/wrappers.ts';
import { readPassphrase } from '../passphrase.ts';
import type { Answer, Session } from '../session.ts';
import { keyFilePath, namedRepository } from './file.ts';

/** scrypt makes guessing slow, not impossible: what somebody can guess is no passphrase. */
const shortestPassphrase = 12;

export async function wrap(session: Session, key = ''): Promise<Answer> {
  const wrapFor = await readWrapFor(session);
  const { document } = await openKeyFile(await keyFilePath(session, key));
  const repository = await namedRepository(session);
  const {
    keyId,
    key: object,
    existed,
  } = await wrapKeySets(repository, document.keySets, wrapFor, { signal: session.signal });
  return {
    json: { repository: repository.name, kind: wrapFor.kind, keyId, object, existed },
    text: `${existed ? 'wrapped already' : 'wrapped'}: ${object}\nIt has this key set and all older ones. Back on a new host: pgproof key unwrap --repository ${repository.name} --into FILE, with the same ${wrapFor.kind === 'passphrase' ? 'passphrase' : "recipient's identity"}.`,
  };
}

export async function unwrap(session: Session): Promise<Answer> {
  const opener = await readOpener(session);
  const repository = await namedRepository(session);
  const keyId = session.options.key as string | undefined;
  const { sets, closed } = await unwrapKeySets(repository, opener, { signal: session.signal, keyId });
  const path = resolve(session.options.into as string);
  await createPrivateFile(path, keyFileText(sets));
  const ids = sets.map(({ id }) => id);
  const left =
    closed.length === 0 ? '' : `\nNot in it, because they do not open or are of another key: ${closed.join(', ')}`;
  return {
    json: { file: path, keyIds: ids, closed },
    text: `${path} has the key sets ${ids.join(', ')}${left}\nCompare the ids with what you noted: a repository can hold a key that somebody else put there.`,
  };
}

async function readWrapFor(session: Session): Promise<WrapFor> {
  const recipient = session.options.recipient as string | undefined;
  onlyOne(session, ['recipient', 'passphraseFile', 'passphraseEnv']);
  if (recipient !== undefined) return { kind: 'recipient', recipient };
  const passphrase = (await readPassphrase(session)) as string;
  if (passphrase.length >= shortestPassphrase) return { kind: 'passphrase', passphrase };
  throw new PgproofError('usage', `a passphrase has at least ${shortestPassphrase} characters`, {
    hint: 'Whoever can read the repository can guess at leisure. Five random words, or: openssl rand -base64 18',
  });
}

async function readOpener(session: Session): Promise<Opener> {
  onlyOne(session, ['identityFile', 'passphraseFile', 'passphraseEnv']);
  const file = session.options.identityFile as string | undefined;
  if (file === undefined) return { kind: 'passphrase', passphrase: (await readPassphrase(session)) as string };
  const { text } = await readPrivateFile(resolve(file), 'identity file');
  const lines = text.split('\n').map((line) => line.trim());
  return { kind: 'recipient', identities: lines.filter((line) => line !== '' && !line.startsWith('#')) };
}

function onlyOne({ options }: Session, names: readonly string[]): void {
  if (names.filter((name) => options[name] !== undefined).length === 1) return;
  const flags = names.map((name) => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`);
  throw new PgproofError('usage', `give exactly one of ${flags.join(', ')}`);
}
