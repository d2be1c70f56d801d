import { afterAll, beforeAll, expect, test } from 'vitest';
import { check } from '../../check/check.ts';
import { openPair, type Pair } from '../hosts/support.ts';
import { alternate } from '../support/postgres.ts';
import { openStage, type Stage } from '../support/stage.ts';

const { signal } = new AbortController();
let stage: Stage;
let pair: Pair;

beforeAll(async () => {
  stage = await openStage({ major: alternate(0)[0] as string });
  pair = await openPair(stage);
});
afterAll(async () => {
  await pair?.dispose();
  await stage?.dispose();
});

test('a standby of a cluster that spans hosts is checked as one, and the primary alone sends a segment', async () => {
  const findings = await check(pair.right.cluster, { signal });
  expect(findings).toContainEqual(
    expect.objectContaining({ name: 'server', status: 'ok', detail: expect.stringMatching(/, a standby$/) }),
  );
  expect(findings.at(-1)).toMatchObject({
    name: 'archive-round-trip',
    status: 'ok',
    detail: expect.stringContaining('not tried: this is a standby'),
  });
  const problems = findings.filter(({ status }) => status === 'problem').map(({ name }) => name);
  expect(problems).toEqual(['archive_timeout']); // the stage sets none; a standby needs it on the day it is promoted
  const sent = (await check(pair.left.cluster, { signal })).at(-1);
  expect(sent).toMatchObject({
    name: 'archive-round-trip',
    status: 'ok',
    detail: expect.stringContaining('went from PostgreSQL'),
  });
});

test('a standby behind a cluster of one host is no server to back up', async () => {
  const { cluster } = pair.right;
  const alone = { ...cluster, config: { ...cluster.config, host: ['db-8'] } };
  const findings = await check(alone, { signal });
  expect(findings).toContainEqual(expect.objectContaining({ name: 'server', status: 'problem' }));
  expect(findings.at(-1)).toMatchObject({ status: 'problem', detail: 'not tried: first mend server' });
});
