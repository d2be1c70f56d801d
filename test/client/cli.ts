import { join } from 'node:path';
import { execa } from 'execa';

const node = join(import.meta.dirname, '../../node_modules/.bin/node');
const main = join(import.meta.dirname, '../../client/main.ts');

export type Said = { code: number | undefined; json: unknown; stderr: string };
export type Failed = { error: { code: string; message: string; facts: Record<string, unknown>; hint: string | null } };

/** Runs the command line as a person does, under --json; stdout must be one document and nothing else. */
export async function pgproof(
  args: string[],
  { cwd = '/tmp', env = {} }: { cwd?: string; env?: Record<string, string> } = {},
): Promise<Said> {
  const { exitCode, stdout, stderr } = await execa(node, [main, ...args, '--json'], {
    cwd,
    env: { TEMPORAL_CONFIG_FILE: '/nonexistent.toml', ...env },
    reject: false,
    stdin: 'ignore',
    timeout: 110_000,
  });
  return { code: exitCode, json: JSON.parse(stdout), stderr };
}
