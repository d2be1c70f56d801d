import type { IncomingHttpHeaders } from 'node:http';
import { PgproofError } from '../../core/errors.ts';
import { rangeOutside } from '../errors.ts';
import type { Exchange } from './transport.ts';

/* What an answer must be before it is believed, and the errors where it is not. */

export type Range = { offset: number; length: number };

const checksumHeader = 'x-oss-hash-crc64ecma';

/** Without it a range that is not there answers 200, with everything. */
export function rangeHeaders({ offset, length }: Range): Record<string, string> {
  return { Range: `bytes=${offset}-${offset + length - 1}`, 'x-oss-range-behavior': 'standard' };
}

/** @param answer of a request for this range; `bytes` is its Content-Length. */
export function assertRange(
  key: string,
  range: Range,
  { status, headers }: { status: number; headers: IncomingHttpHeaders },
  bytes: number,
): void {
  const [, from, to, total] = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(headers['content-range'] ?? '')?.map(Number) ?? [];
  const end = range.offset + range.length;
  const whole = status === 206 ? total : bytes;
  if (whole !== undefined && end > whole) throw rangeOutside(key, range, whole);
  if (status === 206 && from === range.offset && to === end - 1 && bytes === range.length) return;
  throw new PgproofError('store-misconfigured', `the store does not honour a range of '${key}'`, {
    facts: { key, status, asked: `${range.offset}-${end - 1}`, answered: headers['content-range'] ?? 'everything' },
    hint: 'Is a proxy or a CDN between this host and OSS? It must pass the headers of a range.',
  });
}

export function lengthOf(key: string, headers: IncomingHttpHeaders): number {
  return sizeOf(key, Number(headers['content-length'] ?? Number.NaN));
}

export function sizeOf(key: string, bytes: number): number {
  if (Number.isSafeInteger(bytes) && bytes >= 0) return bytes;
  throw strange(key, 'no length');
}

/** CRC-64 of the object or part, as the store has it. */
export function checksumOf(key: string, headers: IncomingHttpHeaders): string {
  const checksum = headers[checksumHeader];
  if (typeof checksum === 'string') return checksum;
  throw new PgproofError('store-misconfigured', `the answer for '${key}' has no checksum`, {
    facts: { key, header: checksumHeader },
    hint: `Is a proxy or a CDN between this host and OSS? It must pass the header ${checksumHeader}.`,
  });
}

export function damaged(key: string, facts: Record<string, string | number | boolean>): PgproofError {
  const text = `the store took something other than what it was given for '${key}': its CRC-64 differs`;
  return new PgproofError('object-damaged', text, { facts: { key, ...facts } });
}

export function strange(key: string, what: string): PgproofError {
  return new PgproofError('store-misconfigured', `the store answers ${what} for '${key}'`, { facts: { key } });
}

/** In whole seconds, as exact as the header. */
export function aheadSeconds({ answer, startedAt }: Exchange): number | undefined {
  const date = Date.parse(String(answer?.headers.date));
  return Number.isNaN(date) ? undefined : Math.round((date + 500 - (startedAt + Date.now()) / 2) / 1000);
}
