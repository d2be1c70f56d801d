import { generateKeyFile } from '../../repository/key-file.ts';
import { rotateKeyFile, writeRecipientFile } from '../../repository/key-rotate.ts';
import type { KeyCipher } from '../../repository/keys.ts';
import type { Answer, Session } from '../session.ts';
import { keyFilePath } from './file.ts';

const notAuthenticated = (cipher: KeyCipher): string =>
  cipher.endsWith('-cbc')
    ? `\n${cipher} hides and does not authenticate: what was changed is found by SHA-256 and tags.`
    : '';

export async function generate(session: Session, key = ''): Promise<Answer> {
  const cipher = session.options.cipher as KeyCipher;
  const { keyId, path } = await generateKeyFile(await keyFilePath(session, key), cipher);
  return {
    json: { keyId, cipher, file: path },
    text: `key ${keyId} (${cipher}) written to ${path}\nCopy it to a safe place that is not this machine: without it no backup made with it can be read.${notAuthenticated(cipher)}`,
  };
}

export async function rotate(session: Session, key = ''): Promise<Answer> {
  const wanted = session.options.cipher as KeyCipher | undefined;
  const { keyId, cipher, before, path } = await rotateKeyFile(await keyFilePath(session, key), wanted);
  return {
    json: { keyId, cipher, before, file: path },
    text:
      [
        `key ${keyId} (${cipher}) stands in front of ${before} in ${path}`,
        'Workers on this host seal with it from the next segment and the next backup on; what is older still opens.',
        'Copy the file to its safe place and to the other hosts again, and wrap the new set: pgproof key wrap.',
      ].join('\n') + notAuthenticated(cipher),
  };
}

export async function recipient(session: Session, key = ''): Promise<Answer> {
  const from = await keyFilePath(session, key);
  const { keyId, path } = await writeRecipientFile(from, session.options.into as string);
  return {
    json: { keyId, file: path },
    text: `${path} can write with key ${keyId} and read nothing\nMove it to the database host, and take the whole key file away from there.`,
  };
}
