import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto';
import { publicKeyOf, rawPublicKey } from './age-keys.ts';
import { damaged } from './damaged.ts';

/*
 * The header of an age file: text lines, a stanza for each recipient that wraps the file key for it, and a MAC.
 * https://c2sp.org/age
 */

export const ageMagic = Buffer.from('age-encryption.org/v1');
const macLine = '\n--- ';
const fileKeyBytes = 16;
const wrappedBytes = fileKeyBytes + 16;
const macBytes = 32;
/** Ours have 168 bytes, and each further recipient adds about 100: what is longer was not meant to be read. */
const longestHeader = 16_384;

/** With one recipient. */
export const ageHeaderBytes = 168;

/** @returns the header, and the random file key that the payload's key is made of. */
export function writeAgeHeader(recipient: KeyObject): { header: Buffer; fileKey: Uint8Array } {
  const fileKey = randomBytes(fileKeyBytes);
  const ephemeral = generateKeyPairSync('x25519');
  const share = rawPublicKey(ephemeral.publicKey);
  const shared = diffieHellman({ privateKey: ephemeral.privateKey, publicKey: recipient });
  const cipher = createCipheriv('chacha20-poly1305', wrapKey(shared, share, recipient), wrapNonce, tagOptions);
  const wrapped = Buffer.concat([cipher.update(fileKey), cipher.final(), cipher.getAuthTag()]);
  const unsigned = `${ageMagic}\n-> X25519 ${base64(share)}\n${base64(wrapped)}\n---`;
  return { header: Buffer.from(`${unsigned} ${base64(headerMac(fileKey, unsigned))}\n`), fileKey };
}

/**
 * Where the header ends; undefined while it has not come to its end.
 * @throws {PgproofError} `object-damaged` when this is no header, before anything is computed from it.
 */
export function ageHeaderEnd(bytes: Buffer): number | undefined {
  const known = Math.min(bytes.length, ageMagic.length);
  if (!bytes.subarray(0, known).equals(ageMagic.subarray(0, known)))
    throw damaged('it does not begin with the header of an encrypted object');
  const mac = bytes.indexOf(macLine);
  const end = mac === -1 ? -1 : bytes.indexOf('\n', mac + macLine.length);
  if (end !== -1 && end < longestHeader) return end + 1;
  if (bytes.length >= longestHeader) throw damaged('its header is longer than any that was written');
  return undefined;
}

/** @throws {PgproofError} `object-damaged` unless it is authentic and was made for this identity, too. */
export function readAgeHeader(header: Buffer, identity: KeyObject): Uint8Array {
  const text = header.toString('latin1');
  const stanzasEnd = text.indexOf(macLine) + 1;
  const [version, ...lines] = text.slice(0, stanzasEnd - 1).split('\n');
  if (version !== ageMagic.toString()) throw damaged('it is of another version of age');
  const mac = unbase64(text.slice(stanzasEnd + macLine.length - 1, -1), macBytes);
  for (const { args, body } of readStanzas(lines)) {
    if (args[0] !== 'X25519') continue;
    const fileKey = unwrap(args, body, identity);
    if (fileKey === undefined) continue;
    if (timingSafeEqual(mac, headerMac(fileKey, text.slice(0, stanzasEnd + 3)))) return fileKey;
    throw damaged('its header is not authentic');
  }
  throw damaged('it was not encrypted for the recipient whose identity is at hand');
}

type Stanza = { args: string[]; body: string };

/** A stanza is a line of arguments, full lines of 64 characters, and one that is shorter. */
function readStanzas(lines: string[]): Stanza[] {
  const stanzas: Stanza[] = [];
  for (let at = 0; at < lines.length; ) {
    const [arrow, ...args] = (lines[at] as string).split(' ');
    const from = at + 1;
    for (at = from; lines[at]?.length === 64; ) at += 1;
    const end = lines[at];
    at += 1;
    const body = lines.slice(from, at).join('');
    if (end === undefined || end.length > 64 || !isBase64(body)) throw notAge();
    if (arrow !== '->' || args.length === 0 || args.some((arg) => !/^[!-~]+$/.test(arg))) throw notAge();
    stanzas.push({ args, body });
  }
  return stanzas;
}

/** Undefined when it was wrapped for somebody else. */
function unwrap(args: string[], body: string, identity: KeyObject): Uint8Array | undefined {
  const share = unbase64(args.length === 2 ? (args[1] as string) : '', 32);
  const wrapped = unbase64(body, wrappedBytes);
  const shared = sharedSecret(identity, share);
  const key = wrapKey(shared, share, createPublicKey(identity));
  const decipher = createDecipheriv('chacha20-poly1305', key, wrapNonce, tagOptions);
  decipher.setAuthTag(wrapped.subarray(fileKeyBytes));
  const fileKey = decipher.update(wrapped.subarray(0, fileKeyBytes));
  try {
    decipher.final();
  } catch {
    return undefined;
  }
  return fileKey;
}

/** A share of low order would make a secret that everybody knows: OpenSSL refuses it. */
function sharedSecret(identity: KeyObject, share: Uint8Array): Buffer {
  try {
    return diffieHellman({ privateKey: identity, publicKey: publicKeyOf(share) });
  } catch (cause) {
    throw damaged('its header holds a key that is none', cause);
  }
}

const tagOptions = { authTagLength: 16 };
/** Each wrapping key is used once. */
const wrapNonce = Buffer.alloc(12);

function wrapKey(shared: Uint8Array, share: Uint8Array, recipient: KeyObject): Uint8Array {
  const salt = Buffer.concat([share, rawPublicKey(recipient)]);
  return new Uint8Array(hkdfSync('sha256', shared, salt, 'age-encryption.org/v1/X25519', 32));
}

function headerMac(fileKey: Uint8Array, unsigned: string): Buffer {
  const key = new Uint8Array(hkdfSync('sha256', fileKey, '', 'header', 32));
  return createHmac('sha256', key).update(unsigned, 'latin1').digest();
}

const base64 = (bytes: Buffer): string => bytes.toString('base64').replace(/=+$/, '');

/** Only the one form that age writes: otherwise one header had many texts. */
const isBase64 = (text: string): boolean => base64(Buffer.from(text, 'base64')) === text;

function unbase64(text: string, bytes: number): Buffer {
  const decoded = Buffer.from(text, 'base64');
  if (decoded.length !== bytes || !isBase64(text)) throw notAge();
  return decoded;
}

const notAge = () => damaged('its header is not one of age');
