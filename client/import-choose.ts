import { relative, resolve } from 'node:path';
import { hasCode, PgproofError } from '../core/errors.ts';
import { printable } from '../core/format.ts';
import type { Inventory, OldDump } from '../import/inventory.ts';
import type { ListedBase } from '../import/physical/list.ts';

export type Chosen = { dumps: OldDump[]; bases: string[] };

/**
 * What is meant by names on the command line: a dump by its path below the folder, by its file's name, or by a path from here; a base
 * backup by its name. None: all.
 * @throws {PgproofError} `file-refused` for what is not in the folder; `passphrase-missing`, `passphrase-wrong` where none of what is
 * encrypted can be opened.
 */
export function choose(inventory: Inventory, bases: readonly ListedBase[], files: readonly string[]): Chosen {
  const chosen = files.length === 0 ? all(inventory, bases) : named(inventory, bases, files);
  if (chosen.dumps.length + chosen.bases.length === 0) throw nothingThere(inventory);
  refuseClosed(chosen.dumps);
  return chosen;
}

const all = ({ dumps }: Inventory, bases: readonly ListedBase[]): Chosen => ({
  dumps: [...dumps],
  bases: bases.map(({ name }) => name),
});

function named(inventory: Inventory, bases: readonly ListedBase[], files: readonly string[]): Chosen {
  const dumps = new Set<OldDump>();
  const names = new Set<string>();
  for (const file of files) {
    const base = bases.find(({ name, folder }) => name === file || folder === resolve(file));
    const fitting = fittingDumps(inventory, file);
    if (base === undefined && fitting.length === 0) throw notThere(inventory, file);
    if (base !== undefined) names.add(base.name);
    for (const dump of fitting) dumps.add(dump);
  }
  return { dumps: inventory.dumps.filter((dump) => dumps.has(dump)), bases: [...names] };
}

function fittingDumps({ dumps, dir }: Inventory, file: string): OldDump[] {
  const places = [relative(dir, resolve(dir, file)), relative(dir, resolve(file))];
  const exact = dumps.filter(({ place }) => places.includes(place));
  return exact.length > 0 ? exact : dumps.filter(({ name }) => name === file);
}

/** A wrong passphrase is a person's to correct, before the long work; some files may have had another one. */
function refuseClosed(dumps: readonly OldDump[]): void {
  const missing = dumps.find(({ error }) => hasCode(error, 'passphrase-missing'));
  if (missing !== undefined) throw missing.error;
  const wrong = dumps.find(({ error }) => hasCode(error, 'passphrase-wrong'));
  const isOpen = dumps.some(({ source }) => source?.layers.some((layer) => layer !== 'gzip'));
  if (wrong !== undefined && !isOpen) throw wrong.error;
}

function notThere({ dir, strange }: Inventory, file: string): PgproofError {
  const known = strange.find(({ place }) => place === relative(dir, resolve(dir, file)) || place === file);
  const why = known === undefined ? '' : `: ${known.why}`;
  return new PgproofError('file-refused', `'${printable(file)}' is no dump or base backup of '${dir}'${why}`, {
    facts: { path: dir, file },
    hint: `Name what this shows: pgproof import list ${dir}`,
  });
}

function nothingThere({ dir, strange }: Inventory): PgproofError {
  return new PgproofError('file-unknown', `there is no dump and no base backup in '${dir}'`, {
    facts: { path: dir, strange: strange.length },
    hint: `What else is there, and why it is none: pgproof import list ${dir}`,
  });
}
