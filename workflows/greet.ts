import { isCancellation } from '@temporalio/workflow';
import type { Place, Resolved } from '../activities/control.ts';
import type { Greeting } from '../activities/hello.ts';
import { type Answer, placeWork } from '../core/placing.ts';
import type { Feature } from '../core/request.ts';
import { failure, failureOf } from './failure.ts';
import { helloOn } from './steps.ts';

/** Whose worker does the work, and what a person should know; `refusal` when none of those that answered can do it. */
export type Greeted = { at: Resolved; notes: string[]; refusal: Error | null };

/**
 * Sees that a worker is there. On a cluster that spans hosts all are asked, at the same time, what their server is, and the
 * work goes to the one that fits it now.
 * @throws `worker-absent` when nobody answers; `worker-outdated`.
 */
export async function greet(feature: Feature, at: Resolved): Promise<Greeted> {
  const candidates = candidatesOf(at);
  if (candidates.length === 1) return { at, notes: await greetOne(feature, at), refusal: null };
  const asked = await Promise.all(candidates.map((place) => ask(feature, { ...at, ...place })));
  const there = asked.filter((one) => one.problem === null);
  if (there.length === 0) throw asked[0]?.problem;
  const placing = placeWork(feature, at.prefer ?? 'primary', asked.map(answerOf));
  if ('refused' in placing)
    return { at: toPlace(at, there[0]?.place), notes: [], refusal: nowhere(feature, at, placing) };
  const placed = toPlace(
    at,
    candidates.find(({ host }) => host === placing.host),
  );
  const primary = candidates.find(({ host }) => host === placing.primary) ?? null;
  const difference = asked.flatMap(({ place, greeting }) =>
    place.host === placing.host ? differing(greeting, placed) : [],
  );
  return { at: { ...placed, primary }, notes: [...placing.notes, ...difference], refusal: null };
}

/** All hosts of the cluster; old histories know of one. */
export const candidatesOf = (at: Resolved): readonly Place[] => at.candidates ?? [at];

export const namesOf = (at: Resolved): string =>
  candidatesOf(at)
    .map(({ host }) => host)
    .join(', ');

/** The same work, on another host of the cluster. */
export const toPlace = (at: Resolved, place: Place | undefined): Resolved => ({ ...at, ...place });

async function greetOne(feature: Feature, at: Resolved): Promise<string[]> {
  const greeting = await helloOn(at).hello({ cluster: at.cluster });
  // A greeting that says nothing of it is of a worker that is older still.
  if (!greeting.features?.includes(feature)) throw outdated(feature, greeting.version, at);
  return differing(greeting, at);
}

/** What one of several said; `problem`: why it cannot do it. */
type Heard = { place: Place } & ({ greeting: Greeting; problem: null } | { greeting: null; problem: Error });

async function ask(feature: Feature, at: Resolved): Promise<Heard> {
  const place: Place = { host: at.host, queues: at.queues };
  try {
    const greeting = await helloOn(at).hello({ cluster: at.cluster });
    const can = greeting.features?.includes(feature) && greeting.server !== undefined;
    return can
      ? { place, greeting, problem: null }
      : { place, greeting: null, problem: outdated(feature, greeting.version, at) };
  } catch (error) {
    if (isCancellation(error)) throw error;
    return { place, greeting: null, problem: failureOf(error, at) };
  }
}

function answerOf({ place: { host }, greeting, problem }: Heard): Answer {
  if (problem !== null) return { host, absent: problem.message };
  const { role, unfit } = greeting.server ?? { role: 'down', unfit: null };
  return { host, role, unfit };
}

/** A finding, not a failure: the host works by its own config, which may be the newer one. */
function differing(greeting: Greeting | null, at: Resolved): string[] {
  if (greeting === null || greeting.configHash === at.configHash) return [];
  return [`the control worker and ${at.host} have different configurations of ${at.cluster}; ${at.host}'s counts`];
}

export function outdated(feature: Feature, version: string, { host }: Resolved): Error {
  const facts = { host, version, operation: feature };
  return failure('worker-outdated', `the worker of ${host} is of version ${version} and cannot do a ${feature}`, [
    facts,
    `Upgrade pgproof on ${host} first.`,
  ]);
}

function nowhere(feature: Feature, at: Resolved, { refused }: { refused: string }): Error {
  return failure('primary-missing', `no host of '${at.cluster}' can do a ${feature}: ${refused}`, [
    { cluster: at.cluster, hosts: candidatesOf(at).map(({ host }) => host) },
    'It needs a running primary: start it, or promote a standby and then let clusters.<name>.host begin with its host.',
  ]);
}
