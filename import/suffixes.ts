import type { Content } from './content.ts';
import type { Layer } from './peel.ts';

const inWords: Record<Content, string> = {
  custom: "pg_dump's custom format",
  tar: "pg_dump's tar format",
  text: 'SQL',
  files: 'a tar',
  wal: 'a WAL segment',
  other: 'nothing known',
};

/** `SQL, gzip, aes-256-cbc`: what is in it, and what lies around that, from the inside out. */
export function describe({ layers, content }: { layers: readonly Layer[]; content: Content }): string {
  return [inWords[content], ...layers.toReversed()].join(', ');
}

/** What a name promises: layers from the outside in, and what is within, where it says that. */
export function promised(name: string): { layers: ('gzip' | 'encrypted')[]; contents: Content[]; stem: string } {
  const layers: ('gzip' | 'encrypted')[] = [];
  let stem = name;
  for (;;) {
    const suffix = /\.(gz|enc)$/i.exec(stem)?.[1]?.toLowerCase();
    if (suffix === undefined) break;
    layers.push(suffix === 'gz' ? 'gzip' : 'encrypted');
    stem = stem.slice(0, -suffix.length - 1);
  }
  const suffix = /\.(sql|dump|tar)$/i.exec(stem)?.[1]?.toLowerCase();
  if (suffix === undefined) return { layers, contents: [], stem };
  const contents: Content[] = { sql: ['text'], dump: ['custom'], tar: ['tar', 'files'] }[suffix] as Content[];
  return { layers, contents, stem: stem.slice(0, -suffix.length - 1) };
}

/** A sentence where name and content differ: what a file is, its bytes say. */
export function disagreement(file: { name: string; layers: readonly Layer[]; content: Content }): string | null {
  const { layers, contents } = promised(file.name);
  const found = file.layers.map((layer) => (layer === 'gzip' ? 'gzip' : 'encrypted'));
  const isSame = found.join() === layers.join() && (contents.length === 0 || contents.includes(file.content));
  return isSame ? null : `its name says otherwise, but it is ${describe(file)}`;
}
