import type { Census } from './census.ts';
import type { KnownEra } from './documents.ts';
import type { Findings } from './findings.ts';
import { partsOf } from './work.ts';

/** Objects that nothing knows of: names that the layout does not have, and parts that their backup's record does not list. */
export function noteForeign({ foreign }: Census, eras: readonly KnownEra[], findings: Findings): void {
  for (const object of foreign.first) {
    const why = 'nothing of ours has such a name; somebody else writes here';
    findings.add({ object, kind: 'foreign', why, subject: { of: 'repository' } });
  }
  for (const { name: era, census, records } of eras) {
    for (const record of records) {
      const listed = new Set(partsOf(record).map(({ key }) => key));
      for (const object of census.parts.get(record.id)?.keys() ?? []) {
        if (listed.has(object)) continue;
        const why = `the record of backup ${record.id} does not list it`;
        findings.add({ object, kind: 'foreign', why, subject: { of: 'backup', era, id: record.id } });
      }
    }
  }
}
