import type { Feature } from './request.ts';

/** What the server of a cluster on one of its hosts is at this moment; `down`: it cannot be asked. */
export const roles = ['primary', 'standby', 'down'] as const;
export type Role = (typeof roles)[number];

/** What a host said of the server there. `unfit`: why no backup is taken from it, a sentence's end; null where one may be. */
export type ServerRole = { role: Role; unfit: string | null };

/** A host of a cluster that was asked; `absent`: why it gave no answer. */
export type Answer = { host: string } & (ServerRole | { absent: string });

/** The host that does the work, where the primary is, and what a person should know; or why no host can do it. */
export type Placing = { host: string; primary: string | null; notes: string[] } | { refused: string };

/** What the work needs of a host's server: a primary, data to copy, or no more than a worker beside it. */
const needs: Record<Feature, 'primary' | 'data' | 'worker'> = {
  backup: 'data',
  dump: 'data',
  drill: 'primary', // its markers are written
  walSync: 'primary',
  copy: 'worker',
  verify: 'worker',
  expire: 'worker',
  restore: 'worker',
  check: 'worker',
};

/**
 * Chooses the host for a piece of work on a cluster that spans hosts.
 * @param asked in the order of the config, whose first host is the one that leads: of two primaries it is the one that counts.
 */
export function placeWork(feature: Feature, prefer: 'primary' | 'standby', asked: readonly Answer[]): Placing {
  const there = asked.filter((one) => 'role' in one);
  const is = (role: Role) => there.filter((one) => one.role === role);
  const primaries = is('primary');
  const standbys = is('standby');
  const [primary] = primaries;
  const notes = [...absences(asked), ...rivals(primaries)];
  const at = (chosen: { host: string } | undefined, ...more: string[]): Placing =>
    chosen === undefined
      ? { refused: asked.map(describe).join('; ') }
      : { host: chosen.host, primary: primary?.host ?? null, notes: [...notes, ...more] };

  if (needs[feature] === 'worker') return at(standbys[0] ?? primary ?? there[0]); // the primary has enough to do
  if (needs[feature] === 'primary' || prefer === 'primary') return at(primary);
  const fit = standbys.find(({ unfit }) => unfit === null);
  return fit === undefined ? at(primary, noStandby(asked, primary?.host)) : at(fit);
}

const absences = (asked: readonly Answer[]): string[] =>
  asked.filter((one) => 'absent' in one).map(({ host, absent }) => `${host} did not answer: ${absent}`);

const rivals = ([first, ...others]: readonly { host: string }[]): string[] =>
  others.map(
    ({ host }) => `${host} has a primary, too: ${first?.host}'s counts, because it comes first in clusters.<name>.host`,
  );

function noStandby(asked: readonly Answer[], primary: string | undefined): string {
  const others = asked.filter(({ host }) => host !== primary).map(describe);
  return `taken from the primary, because no standby is fit for it: ${others.join('; ')}`;
}

function describe(one: Answer): string {
  if ('absent' in one) return `${one.host} did not answer`;
  const what = one.role === 'down' ? 'a server that cannot be asked' : `a ${one.role}`;
  return `${one.host} has ${what}${one.unfit === null ? '' : ` (${one.unfit})`}`;
}
