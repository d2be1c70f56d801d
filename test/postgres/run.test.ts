import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { PgproofError } from '../../core/errors.ts';
import { runTool, spawnTool } from '../../postgres/run.ts';
import type { Tools } from '../../postgres/tools.ts';
import { alternate, bin } from '../support/postgres.ts';
import { tempDir } from '../support/temp.ts';
import { until } from '../support/until.ts';

const [major] = alternate(1) as [string];
const real: Tools = { bin: bin(major), major: Number(major) };
const calm = () => ({ signal: new AbortController().signal, timeoutSeconds: 30 });
let dir: string;
let scripts: Tools;

afterEach(() => void vi.unstubAllEnvs());

beforeEach(() => {
  dir = tempDir();
  scripts = { bin: dir, major: 15 };
});

function script(name: string, text: string): void {
  writeFileSync(join(dir, name), `#!/bin/sh\n${text}\n`);
  chmodSync(join(dir, name), 0o755);
}

/** Neither gone nor a zombie. */
function alive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

test('a tool that succeeds answers what it printed', async () => {
  const { stdout } = await runTool(real, 'pg_controldata', ['--version'], calm());
  expect(stdout).toContain(`(PostgreSQL) ${major}`);
});

test('a tool that fails is named with its exit code and last words', async () => {
  const error = await runTool(real, 'pg_controldata', ['-D', '/nonexistent'], calm()).catch(
    (thrown: unknown) => thrown,
  );
  expect(error).toMatchObject({
    code: 'tool-failed',
    facts: { tool: 'pg_controldata', exitCode: 1, stderr: [expect.stringContaining('/nonexistent')] },
  });
  expect((error as Error).message).toContain(
    'pg_controldata failed (exit code 1): pg_controldata: error: could not open file',
  );
});

test('where a job of pg_dump failed, what it said is told, and not that it is gone', async () => {
  const said = ['error: could not obtain lock on relation "t"', 'detail: Somebody asked for it.'];
  const last = 'error: a worker process died unexpectedly';
  script(
    'pg_dump',
    [...said, last]
      .map((line) => `echo 'pg_dump: ${line}' >&2`)
      .join('\n')
      .concat('\nexit 1'),
  );
  await expect(runTool(scripts, 'pg_dump', [], calm())).rejects.toThrow(`(exit code 1): pg_dump: ${said[0]}`);
  script('pg_dump', `echo 'pg_dump: ${last}' >&2; exit 1`);
  await expect(runTool(scripts, 'pg_dump', [], calm())).rejects.toThrow(last);
});

test('no variable of ours leads a tool to another server than the one that was asked for', async () => {
  vi.stubEnv('PGHOSTADDR', '192.0.2.1');
  vi.stubEnv('PGSERVICE', 'other');
  vi.stubEnv('PGCLIENTENCODING', 'LATIN1');
  vi.stubEnv('PGPASSFILE', '/etc/pgproof/pgpass');
  script('shows', 'env');
  const { stdout } = await runTool(scripts, 'shows', [], calm());
  expect(stdout).not.toMatch(/^PG(?:HOSTADDR|SERVICE|CLIENTENCODING)=/m);
  expect(stdout).toContain('PGPASSFILE=/etc/pgproof/pgpass');
});

test('a tool that is not there fails with its name', async () => {
  await expect(runTool(scripts, 'nothing', [], calm())).rejects.toMatchObject({
    code: 'tool-failed',
    facts: { tool: 'nothing' },
  });
});

test('a tool that says more on stderr than anybody reads is neither stopped nor remembered', async () => {
  script('chatty', 'i=0; while [ $i -lt 20000 ]; do echo "this is line $i" >&2; i=$((i+1)); done; echo done');
  const { stdout, stderr } = await runTool(scripts, 'chatty', [], calm());
  expect(stdout).toBe('done\n');
  expect(stderr.length).toBeLessThanOrEqual(16 * 1024);
  expect(stderr).toContain('line 19999');
});

test('output beyond the limit is an error, and the tool ends', async () => {
  script('endless', 'exec yes');
  await expect(runTool(scripts, 'endless', [], { ...calm(), maxOutputBytes: 100_000 })).rejects.toMatchObject({
    code: 'tool-output',
  });
});

test('a tool that takes too long ends with its children', async () => {
  script('slow', `sleep 600 & echo $! > ${dir}/new && mv ${dir}/new ${dir}/child; wait`);
  // Long enough for the script to have a child, however slow the machine is.
  for (let timeoutSeconds = 0.5; !existsSync(join(dir, 'child')); timeoutSeconds *= 2) {
    await expect(runTool(scripts, 'slow', [], { ...calm(), timeoutSeconds })).rejects.toMatchObject({
      code: 'timeout',
      facts: { timeoutSeconds },
    });
  }
  const child = Number(readFileSync(join(dir, 'child'), 'utf8'));
  await until(() => !alive(child), 20);
});

test('an abort ends the tool with its children, and the error is the reason', async () => {
  script('slow', `sleep 600 & echo $! > ${dir}/new && mv ${dir}/new ${dir}/child; wait`);
  const controller = new AbortController();
  const tool = spawnTool(scripts, 'slow', [], { ...calm(), signal: controller.signal });
  tool.stdout.resume();
  await until(() => existsSync(join(dir, 'child')), 20);
  const reason = new PgproofError('server-unreachable', 'the lock was lost');
  controller.abort(reason);
  await expect(tool.ended).rejects.toBe(reason);
  const child = Number(readFileSync(join(dir, 'child'), 'utf8'));
  await until(() => !alive(child), 20);
});

test('a secret travels in the environment, not in the command line', async () => {
  script('look', `tr '\\0' ' ' < /proc/$$/cmdline; echo; echo "$PGPASSWORD"; echo "$LC_ALL"`);
  const { stdout } = await runTool(scripts, 'look', ['-w'], { ...calm(), env: { PGPASSWORD: 'hunter2' } });
  const [command, password, language] = stdout.split('\n');
  expect(command).not.toContain('hunter2');
  expect([password, language]).toEqual(['hunter2', 'C']);
});
