import canonicalize from 'canonicalize';
import type * as z from 'zod';
import { hasCode, PgproofError } from '../core/errors.ts';
import { readBytes } from '../storage/bytes.ts';
import type { ObjectKey, ObjectStore, StoreOptions } from '../storage/store.ts';
import { formatVersion } from './layout.ts';

/** A document that is larger is none of ours: a 10 TB backup's record has some 2,500 parts. */
export const maxDocumentBytes = 64 * 1024 * 1024;

/** Canonical JSON (RFC 8785): the same document is the same bytes, here and on every other machine. */
export function canonicalBytes(document: unknown): Uint8Array {
  return new TextEncoder().encode(canonicalize(document) as string);
}

/**
 * Reads and checks one JSON document of the repository.
 * @throws {PgproofError} `object-missing`; `record-invalid` for what is not such a document; `repository-format` for a newer one.
 */
export async function readDocument<Schema extends z.ZodType>(
  store: ObjectStore,
  key: ObjectKey,
  schema: Schema,
  options: StoreOptions = {},
): Promise<z.output<Schema>> {
  return parseDocument(key, await readBytes(store, key, { ...options, maxBytes: maxDocumentBytes }), schema);
}

/** For what another may remove between a listing and its reading. */
export function nullIfMissing(error: unknown): null {
  if (hasCode(error, 'object-missing')) return null;
  throw error;
}

export function parseDocument<Schema extends z.ZodType>(
  key: ObjectKey,
  bytes: Uint8Array,
  schema: Schema,
): z.output<Schema> {
  const data = parseJson(key, bytes);
  const version = (data as { formatVersion?: unknown } | null)?.formatVersion;
  if (typeof version === 'number' && version > formatVersion) {
    throw new PgproofError(
      'repository-format',
      `'${key}' has format ${version}, and this pgproof reads ${formatVersion}`,
      {
        facts: { key, formatVersion: version, supported: formatVersion },
        hint: 'A newer pgproof wrote it: upgrade this one.',
      },
    );
  }
  const result = schema.safeParse(data);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new PgproofError(
    'record-invalid',
    `'${key}' is not a document of ours: ${issue?.path.join('.')}: ${issue?.message}`,
    { facts: { key } },
  );
}

function parseJson(key: ObjectKey, bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new PgproofError('record-invalid', `'${key}' is not JSON`, { facts: { key }, cause });
  }
}
