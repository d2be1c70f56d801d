import type { Config } from '../../core/config.ts';
import { asPgproofError, type PgproofError } from '../../core/errors.ts';
import { readKeyFile } from '../../repository/key-file.ts';
import { type KeyRing, opens } from '../../repository/keys.ts';
import { openRepository } from '../../repository/repository.ts';
import { listWrappers, type Wrapper } from '../../repository/wrappers.ts';
import type { Answer, Session } from '../session.ts';
import { table } from '../text.ts';

type Place = { repository: string; wrappers: Wrapper[]; error: PgproofError | null };
type File = { key: string; file: string; keys: KeyRing | null; error: PgproofError | null };

export async function list(session: Session): Promise<Answer> {
  const { config } = await session.host();
  const files = await Promise.all(Object.entries(config.keys).map(([key, { file }]) => readFile(key, file)));
  const places = await Promise.all(
    Object.keys(config.repositories).map((name) => readPlace(config, name, session.signal)),
  );
  const known = new Set(files.flatMap(({ keys }) => keys?.all.map(({ id }) => id) ?? []));
  const elsewhere = places.flatMap(({ repository, wrappers }) =>
    wrappers.filter(({ keyId }) => !known.has(keyId)).map(({ keyId, key }) => ({ keyId, repository, object: key })),
  );
  const json = {
    keys: files.map(({ key, file, keys, error }) => ({
      key,
      file,
      error: error?.toDocument() ?? null,
      sets: keys === null ? [] : setsOf(keys, places),
    })),
    wrappedElsewhere: elsewhere,
    unavailable: places.flatMap(({ repository, error }) =>
      error === null ? [] : [{ repository, error: error.toDocument() }],
    ),
  };
  return { json, text: render(json) };
}

async function readFile(key: string, file: string): Promise<File> {
  try {
    return { key, file, keys: await readKeyFile(file), error: null };
  } catch (error) {
    return { key, file, keys: null, error: asPgproofError(error) };
  }
}

/** A repository that is away does not hide what the others hold. */
async function readPlace(config: Config, name: string, signal: AbortSignal): Promise<Place> {
  try {
    const repository = await openRepository(name, config.repositories[name]!, { signal });
    return { repository: name, wrappers: await listWrappers(repository, { signal }), error: null };
  } catch (error) {
    if (signal.aborted) throw error;
    return { repository: name, wrappers: [], error: asPgproofError(error) };
  }
}

/** A wrapper has the set that it is named after, and all older ones. */
function setsOf(keys: KeyRing, places: readonly Place[]) {
  const ids = keys.all.map(({ id }) => id);
  return keys.all.map((set, index) => ({
    keyId: set.id,
    cipher: set.cipher,
    createdAt: set.createdAt,
    use: use(keys, set.id),
    reads: opens(set),
    wrapped: places.flatMap(({ repository, wrappers }) =>
      wrappers
        .filter(({ keyId }) => ids.slice(0, index + 1).includes(keyId))
        .map(({ wrapper, key }) => ({ repository, wrapper, object: key })),
    ),
  }));
}

const use = (keys: KeyRing, keyId: string): 'current' | 'older' => (keys.current?.id === keyId ? 'current' : 'older');

type Listed = {
  keys: { key: string; file: string; error: { message: string } | null; sets: ReturnType<typeof setsOf> }[];
  wrappedElsewhere: { keyId: string; repository: string }[];
  unavailable: { repository: string; error: { message: string } }[];
};

function render({ keys, wrappedElsewhere, unavailable }: Listed): string {
  const blocks = keys.map(({ key, file, error, sets }) => {
    if (error !== null) return `${key}: ${error.message}`;
    const rows = sets.map(({ keyId, cipher, use, reads, wrapped }) => [
      keyId,
      cipher,
      use,
      reads ? 'reads' : use === 'current' ? 'WRITES ONLY' : 'CHECKS SIGNATURES ONLY',
      wrapped.map(({ repository, wrapper }) => `${repository}: ${wrapper}`).join(', ') || 'not wrapped anywhere',
    ]);
    return `${key} in ${file}\n${table(['KEY SET', 'CIPHER', 'USE', 'THIS HOST', 'WRAPPED'], rows)}`;
  });
  const others = wrappedElsewhere.map(
    ({ keyId, repository }) => `${keyId} is wrapped in ${repository}, and not at hand here`,
  );
  const away = unavailable.map(({ repository, error }) => `repository ${repository}: ${error.message}`);
  return [...(blocks.length === 0 ? ['the configuration has no keys'] : blocks), ...others, ...away].join('\n\n');
}
