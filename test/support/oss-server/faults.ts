/**
 * What goes wrong:
 * `status` is answered and nothing done · `reset` cuts the connection and nothing is done · `hang` never answers ·
 * `hold` waits until told to go on · `lose-answer` does it and cuts the connection · `truncate` cuts the connection after
 * so many bytes of an object's body · `flip` changes a bit of an object's body on its way out · `flip-stored` and `shorten`
 * spoil what a put or a part brought, up to 256 KiB, while the answer is a success · `legacy-range` answers a range with
 * the whole object · `wrong-range` answers a range with the bytes behind it · `slow` sends 16 KiB a millisecond.
 */
export type OssFault =
  | { kind: 'status'; status: number; code?: string; retryAfter?: number }
  | { kind: 'reset' | 'hang' | 'lose-answer' | 'legacy-range' | 'wrong-range' | 'slow' }
  | { kind: 'hold'; until: () => Promise<unknown> }
  | { kind: 'truncate' | 'shorten'; bytes: number }
  | { kind: 'flip' | 'flip-stored'; at: number };

/** Which requests meet the fault: by operation, key, and how many of them after how many. */
export type OssFaultRule = { on: Operation | '*'; key?: RegExp; after?: number; times?: number; fault: OssFault };

export type Operation =
  | 'PutObject'
  | 'GetObject'
  | 'HeadObject'
  | 'DeleteObject'
  | 'InitiateMultipartUpload'
  | 'UploadPart'
  | 'CompleteMultipartUpload'
  | 'AbortMultipartUpload'
  | 'ListMultipartUploads'
  | 'ListObjectsV2'
  | 'GetBucketVersioning'
  | 'GetBucketWorm'
  | 'GetBucketLifecycle';

/** The first rule that fits decides, and is used up by one. */
export function faultFor(rules: readonly OssFaultRule[], operation: Operation, key: string): OssFault | undefined {
  const rule = rules.find(
    (each) =>
      (each.on === '*' || each.on === operation) && each.times !== 0 && (each.key === undefined || each.key.test(key)),
  );
  if (rule === undefined) return undefined;
  if (rule.after !== undefined && rule.after > 0) {
    rule.after -= 1;
    return undefined;
  }
  if (rule.times !== undefined) rule.times -= 1;
  return rule.fault;
}

export function flipped(bytes: Buffer, at: number): Buffer {
  if (at < 0 || at >= bytes.length) return bytes;
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] as number) ^ 1;
  return copy;
}
