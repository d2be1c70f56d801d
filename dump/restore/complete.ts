import { throwIfAborted } from '../../core/abort.ts';
import { PgproofError } from '../../core/errors.ts';
import type { Run } from '../../core/run.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import { dumpParts } from '../../repository/dumps.ts';
import { sealingOf } from '../../repository/keys.ts';
import { dumpPartPrefix } from '../../repository/layout.ts';
import { withLimit } from '../../repository/nearest.ts';
import type { DumpRecord } from '../../repository/record.ts';

const patienceSeconds = 300;

/**
 * Makes sure that this host can open the dump, and that each of its parts is there in its length.
 * @throws {PgproofError} `key-missing`, `key-write-only`; `object-missing`, `object-damaged` where no repository that answers has one.
 */
export async function refuseIncomplete(
  { repositories, unavailable, keys, name }: ProtectedCluster,
  record: DumpRecord,
  { signal }: Pick<Run, 'signal'>,
): Promise<void> {
  sealingOf(record, keys);
  const lengths = new Map<string, Set<number>>();
  let isAnyAway = unavailable.length > 0;
  for (const { store } of repositories) {
    try {
      await withLimit(patienceSeconds, signal, async (limited) => {
        for await (const { key, bytes } of store.list(dumpPartPrefix(name, record.id), { signal: limited }))
          lengths.set(key, (lengths.get(key) ?? new Set()).add(bytes));
      });
    } catch (error) {
      throwIfAborted(signal);
      isAnyAway = true;
      if (repositories.length === 1) throw error;
    }
  }
  const part = dumpParts(record).find(({ key, storedBytes }) => !lengths.get(key)?.has(storedBytes));
  if (part === undefined || isAnyAway) return; // one that is away may have it
  const found = lengths.get(part.key);
  const hint = `Restore another dump; see: pgproof list ${name}, and pgproof verify ${name}`;
  if (found === undefined)
    throw new PgproofError('object-missing', `'${part.key}', a part of the dump ${record.id}, is missing`, {
      facts: { dump: record.id, key: part.key },
      hint,
    });
  throw new PgproofError('object-damaged', `'${part.key}', a part of the dump ${record.id}, has another length`, {
    facts: { dump: record.id, key: part.key, expectedBytes: part.storedBytes, foundBytes: [...found] },
    hint,
  });
}
