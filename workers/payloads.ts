import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import type { DataConverter, Payload, PayloadCodec } from '@temporalio/common';
import * as z from 'zod';
import { PgproofError } from '../core/errors.ts';
import { readKeyFile, rereadKeys } from '../repository/key-file.ts';
import { type KeyRing, type KeySet, missingKey, noKeys } from '../repository/keys.ts';

/*
 * Sealed payloads: all that Temporal keeps of inputs, results, heartbeats, summaries and failures is one envelope of
 * AES-256-GCM. What is not sealed is opened as it is, so that a fleet can begin to seal while histories in the clear run on.
 */

const encoding = 'binary/encrypted';
const nonceBytes = 12;
const tagBytes = 16;

/** What makes a failure's message and stack payloads, too; workflows get it with their bundle. */
export const failureConverterPath = fileURLToPath(new URL('../workflows/sealed-failures.ts', import.meta.url));

/**
 * How everything that is sent to Temporal is written, and read again. Clients and workers of a fleet need the same.
 * @param keyFile undefined: in the clear; sealed payloads are then refused by name.
 * @throws {PgproofError} `key-file-*`; `key-wrong` for a key of another cipher.
 */
export async function openDataConverter(keyFile: string | undefined): Promise<DataConverter> {
  if (keyFile === undefined) return { payloadCodecs: [sealedPayloads(noKeys)] };
  return { payloadCodecs: [sealedPayloads(await readKeyFile(keyFile))], failureConverterPath };
}

/** @param keys the newest seals; each opens what it sealed. After a rotation the file is read again when it has to be. */
export function sealedPayloads(keys: KeyRing): PayloadCodec {
  let ring = keys;
  const newest = ring.current === null ? null : { id: ring.current.id, key: payloadKey(ring.current) };
  const keyOf = async (id: string): Promise<Buffer> => {
    if (ring.find(id) === undefined) ring = await rereadKeys(ring);
    const set = ring.find(id);
    if (set !== undefined) return payloadKey(set);
    if (newest !== null) throw missingKey(id, ring);
    throw new PgproofError('key-missing', `a payload is sealed with the key '${id}', and none is configured here`, {
      facts: { keyId: id },
      hint: 'Give this machine the key file, and name it under temporal.codec.',
    });
  };
  return {
    encode: async (payloads) => (newest === null ? payloads : payloads.map((payload) => seal(payload, newest))),
    decode: (payloads) =>
      Promise.all(
        payloads.map(async (payload) => (isSealed(payload) ? open(payload, await keyOf(keyId(payload))) : payload)),
      ),
  };
}

/** Of its own: what Temporal holds must not open with what seals backups. */
function payloadKey({ id, sealing }: KeySet): Buffer {
  if (sealing?.cipher === 'aes-256-gcm')
    return Buffer.from(hkdfSync('sha256', sealing.key, '', 'pgproof temporal payload', 32));
  throw new PgproofError(
    'key-wrong',
    `the key '${id}' cannot seal payloads: its cipher is ${sealing?.cipher ?? 'none'}`,
    {
      facts: { keyId: id, cipher: sealing?.cipher ?? null },
      hint: 'Make one for it: pgproof key generate FILE (its cipher is aes-256-gcm).',
    },
  );
}

const metadataOf = ({ metadata }: Payload, name: string): string =>
  Buffer.from(metadata?.[name] ?? Buffer.alloc(0)).toString();
const isSealed = (payload: Payload): boolean => metadataOf(payload, 'encoding') === encoding;
const keyId = (payload: Payload): string => metadataOf(payload, 'encryption-key-id');

function seal(payload: Payload, { id, key }: { id: string; key: Buffer }): Payload {
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(id));
  const sealed = Buffer.concat([cipher.update(textOf(payload)), cipher.final()]);
  return {
    metadata: { encoding: Buffer.from(encoding), 'encryption-key-id': Buffer.from(id) },
    data: Buffer.concat([nonce, sealed, cipher.getAuthTag()]),
  };
}

function open(payload: Payload, key: Buffer): Payload {
  const id = keyId(payload);
  try {
    const data = Buffer.from(payload.data ?? Buffer.alloc(0));
    const decipher = createDecipheriv('aes-256-gcm', key, data.subarray(0, nonceBytes), { authTagLength: tagBytes });
    decipher.setAAD(Buffer.from(id)).setAuthTag(data.subarray(-tagBytes));
    const text = Buffer.concat([decipher.update(data.subarray(nonceBytes, -tagBytes)), decipher.final()]).toString();
    return payloadOf(text);
  } catch (cause) {
    throw new PgproofError('record-invalid', `a payload that was sealed with the key '${id}' was changed since`, {
      facts: { keyId: id },
      cause,
    });
  }
}

const base64 = z.base64().transform((text) => Buffer.from(text, 'base64'));
const envelope = z.object({ metadata: z.record(z.string(), base64), data: base64 });

function textOf({ metadata, data }: Payload): string {
  const encoded = Object.entries(metadata ?? {}).map(([name, value]) => [name, Buffer.from(value).toString('base64')]);
  return JSON.stringify({ metadata: Object.fromEntries(encoded), data: Buffer.from(data ?? []).toString('base64') });
}

const payloadOf = (text: string): Payload => envelope.parse(JSON.parse(text));
