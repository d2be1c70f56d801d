import type { StoreOptions } from '../storage/store.ts';
import { readDocument } from './document.ts';
import { cutPrefix } from './layout.ts';
import { type CutRecord, cutRecord } from './record.ts';
import type { Repository } from './repository.ts';

/**
 * Which WAL of an era was taken away, or is about to be; usually one document.
 * @throws {PgproofError} what the store says; `record-invalid` for one that cannot be read.
 */
export async function listCuts(
  { store }: Repository,
  cluster: string,
  era: string,
  options: StoreOptions = {},
): Promise<CutRecord[]> {
  const cuts: CutRecord[] = [];
  for await (const { key } of store.list(cutPrefix(cluster, era), options))
    cuts.push(await readDocument(store, key, cutRecord, options));
  return cuts;
}
