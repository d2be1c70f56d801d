import { PgproofError } from './errors.ts';

/** A log sequence number in PostgreSQL's text form, `16/B374D848`: upper-case hex, no leading zeros. */
export type Lsn = string & { readonly brand: 'Lsn' };

const lsnPattern = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/;

/**
 * Accepts also `0/0B0000D8`, as pg_waldump prints it.
 * @throws {PgproofError} `lsn-invalid` unless `text` is written X/X in hex.
 */
export function parseLsn(text: string): Lsn {
  const match = lsnPattern.exec(text.trim());
  if (match === null) {
    throw new PgproofError('lsn-invalid', `'${text}' is not an LSN`, {
      facts: { value: text },
      hint: 'An LSN is written as two hexadecimal numbers, for example 16/B374D848.',
    });
  }
  return formatLsn((BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`));
}

export function formatLsn(position: bigint): Lsn {
  const high = (position >> 32n).toString(16).toUpperCase();
  const low = (position & 0xffffffffn).toString(16).toUpperCase();
  return `${high}/${low}` as Lsn;
}

/** The byte position in the WAL stream. */
export function lsnPosition(lsn: Lsn): bigint {
  const [high, low] = lsn.split('/') as [string, string];
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`);
}

export function compareLsn(a: Lsn, b: Lsn): number {
  const left = lsnPosition(a);
  const right = lsnPosition(b);
  return left < right ? -1 : left > right ? 1 : 0;
}
