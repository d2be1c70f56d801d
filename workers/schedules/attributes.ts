import { defineSearchAttributeKey, type SearchAttributePair, TypedSearchAttributes } from '@temporalio/common';
import type { WantedSchedule } from '../../core/schedule/wanted.ts';

/*
 * What a schedule's runs can be searched by, from their start on: a run that has to add it pays for it each time, and one that
 * did not get as far could not be found.
 */

export const attributePairs = (wanted: WantedSchedule): SearchAttributePair[] =>
  Object.entries(valuesOf(wanted)).map(([name, value]) => ({ key: keyOf(name), value }));

/** In one form, to be compared. */
export const wantedAttributes = (wanted: WantedSchedule): string => textOf(valuesOf(wanted));

export function foundAttributes(found: SearchAttributePair[] | TypedSearchAttributes | undefined): string {
  const attributes = found instanceof TypedSearchAttributes ? found : new TypedSearchAttributes(found);
  return textOf(Object.fromEntries(names.map((name) => [name, attributes.get(keyOf(name))])));
}

const names = ['PgCluster', 'PgOperation', 'PgHost'] as const;
type Values = Partial<Record<(typeof names)[number], string>>;

const valuesOf = ({ cluster, operation, host }: WantedSchedule): Values => ({
  PgCluster: cluster,
  PgOperation: operation,
  ...(host === null ? {} : { PgHost: host }),
});

const keyOf = (name: string) => defineSearchAttributeKey(name, 'KEYWORD');

const textOf = (values: Values): string =>
  names.flatMap((name) => (values[name] === undefined ? [] : `${name} ${values[name]}`)).join(', ');
