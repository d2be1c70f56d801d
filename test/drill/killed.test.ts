import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runDrill } from '../../drill/drill.ts';
import { alternate } from '../support/postgres.ts';
import { processesOf } from '../support/processes.ts';
import { openProtected, type ProtectedStage, quiet, until } from './protected.ts';

const node = join(import.meta.dirname, '../../node_modules/.bin/node');
const program = join(import.meta.dirname, 'drilling-process.ts');

describe.each(alternate(0))('scenario 34: a drill that was killed, on PostgreSQL %s', (major) => {
  let stage: ProtectedStage;

  beforeAll(async () => {
    stage = await openProtected(major);
  });

  afterAll(() => stage?.dispose());

  test('leaves no server; the next drill passes, removes its folder and its plan, and says so', async () => {
    const { drills, plans } = stage.cluster.paths;
    await killWhileAsking(stage);
    await until(() => processesOf(drills).length === 0);
    const [left] = readdirSync(drills).filter((name) => !name.endsWith('.json')) as [string];
    expect(existsSync(join(drills, left, 'data', 'PG_VERSION'))).toBe(true);
    const { drillId } = JSON.parse(readFileSync(join(drills, `${left}.json`), 'utf8')) as { drillId: string };

    const result = await runDrill(stage.cluster, { kind: 'probe' }, quiet);
    expect(result.verdict).toBe('passed');
    expect(result.notes).toEqual([expect.stringMatching(`What the killed drill ${drillId} had left.* was removed`)]);
    expect([drills, plans].flatMap((path) => readdirSync(path))).toEqual([]);
  });

  test('does not stand in the way of a drill beside it, and is not disturbed by one', async () => {
    const child = spawn(node, [program, stage.configFile], { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      await untilAsking(child.stdout);
      const before = readdirSync(stage.cluster.paths.drills);
      const result = await runDrill(stage.cluster, { kind: 'probe' }, quiet);
      expect(result).toMatchObject({ verdict: 'passed', notes: [] });
      expect(readdirSync(stage.cluster.paths.drills)).toEqual(before);
      expect(child.exitCode).toBeNull();
    } finally {
      child.kill('SIGKILL');
      await once(child, 'exit');
      await until(() => processesOf(stage.cluster.paths.drills).length === 0);
    }
  });
});

/** While the server that it restored is being asked. */
async function killWhileAsking({ configFile, cluster }: ProtectedStage): Promise<void> {
  const child = spawn(node, [program, configFile], { stdio: ['ignore', 'pipe', 'inherit'] });
  await untilAsking(child.stdout);
  const servers = processesOf(cluster.paths.drills).filter(({ parent }) => parent === child.pid);
  child.kill('SIGKILL');
  await once(child, 'exit');
  expect(servers).toHaveLength(1);
}

async function untilAsking(stdout: NodeJS.ReadableStream): Promise<void> {
  for await (const line of createInterface({ input: stdout })) if (line === 'checks') return;
  throw new Error('the drill ended before it asked');
}
