import { PgproofError } from '../core/errors.ts';

/** A whole copy of an object in another repository, under the same key there and here. */
export type Source = {
  key: string;
  /** Of the stored bytes, where the record says it. */
  sha256: string | null;
  isWholeHere(): Promise<boolean>;
  /** How it is put here, where its bytes alone are not all. */
  put?(): Promise<void>;
  /** Tells what was known of the repository that the object is there. */
  done(): void;
};

/** Why a copy cannot be taken. */
export const unusable = (key: string, why: string): PgproofError =>
  new PgproofError('copy-incomplete', why, { facts: { key } });
