import type { Census } from './census.ts';
import type { Findings } from './findings.ts';
import { type KnownShelf, subjectOn } from './shelved.ts';

/** Objects that nothing knows of: names that the layout does not have, and parts that no record lists. */
export function noteForeign({ foreign }: Census, shelves: readonly KnownShelf[], findings: Findings): void {
  for (const object of foreign.first) {
    const why = 'nothing of ours has such a name; somebody else writes here';
    findings.add({ object, kind: 'foreign', why, subject: { of: 'repository' } });
  }
  for (const { shelf, census, committed } of shelves) {
    for (const { id, parts } of committed()) {
      const listed = new Set(parts.map(({ key }) => key));
      for (const object of census.parts.get(id)?.keys() ?? []) {
        if (listed.has(object)) continue;
        const why = `the record of ${shelf.what} ${id} does not list it`;
        findings.add({ object, kind: 'foreign', why, subject: subjectOn(shelf, id) });
      }
    }
  }
}
