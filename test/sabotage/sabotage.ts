import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { child, type Ended } from '../runner/child.ts';
import { killLeftovers } from '../runner/leftovers.ts';
import { readResults } from '../runner/results.ts';
import { vitestArgs, vitestEnv } from '../runner/steps.ts';
import { endRun, type Run, startRun } from '../support/places.ts';
import type { Patch } from './patches.ts';

export const runs = new Set<Run>();

/** A copy of the tree, to be harmed by one sabotage after the other. */
export type Copy = { folder: string; dispose(): void };

export async function copyOf(root: string): Promise<Copy> {
  const run = beginRun();
  const folder = join(run.dir, 'tree');
  await copyTree(root, folder);
  return { folder, dispose: () => finishRun(run) };
}

/** Harms the copy, answers why that went unnoticed, and mends the copy again; undefined when it was noticed as promised. */
export async function sabotage({ folder }: Copy, patch: Patch): Promise<string | undefined> {
  const applied = await apply(folder, patch);
  if (applied.code !== 0) return `the patch does not apply: ${applied.output.trim()}`;
  const run = beginRun();
  const missing = patch.reddens === 'arrows' ? arrowsMiss(folder, patch) : vitestMisses(run, folder, patch);
  const [answer] = await Promise.allSettled([missing]);
  finishRun(run); // a harmed product may leave anything
  const mended = await apply(folder, patch, '--reverse');
  if (mended.code !== 0) throw new Error(`the patch cannot be taken back: ${mended.output.trim()}`);
  if (answer.status === 'rejected') throw answer.reason;
  return answer.value;
}

function beginRun(): Run {
  const run = startRun();
  runs.add(run);
  return run;
}

function finishRun(run: Run): void {
  killLeftovers(run);
  endRun(run);
  runs.delete(run);
}

const apply = (folder: string, { file }: Patch, ...options: string[]): Promise<Ended> =>
  child('git', ['apply', '--whitespace=nowarn', ...options, file], { cwd: folder });

async function copyTree(root: string, copy: string): Promise<void> {
  mkdirSync(copy);
  const pipe = 'tar -C "$1" --exclude=./.git --exclude=./node_modules -cf - . | tar -C "$2" -xf -';
  const copied = await child('bash', ['-c', `set -o pipefail; ${pipe}`, 'copy', root, copy]);
  if (copied.code !== 0) throw new Error(`could not copy ${root}: ${copied.output}`);
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
}

async function arrowsMiss(copy: string, patch: Patch): Promise<string | undefined> {
  const { code, output } = await child(process.execPath, ['test/arrows/main.ts'], { cwd: copy, timeoutSeconds: 60 });
  return code === 1 ? missingWords(patch, output) : `arrows answered ${code}`;
}

async function vitestMisses(run: Run, copy: string, patch: Patch): Promise<string | undefined> {
  const { file, title } = patch.reddens as { file: string; title: string };
  const args = vitestArgs([file, '-t', title.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')]);
  const ended = await child(process.execPath, args, { cwd: copy, env: vitestEnv(run), timeoutSeconds: 300 });
  const results = readResults(run);
  if (results === undefined) return `vitest did not get as far as running tests:\n${tail(ended)}`;
  const { failed, broken, counts } = results;
  if (failed.length > 0) return missingWords(patch, failed.map((test) => test.message).join('\n'));
  if (broken.length > 0) return `something else broke: ${broken.join('\n')}`;
  return counts.passed > 0 ? `'${title}' stays green` : `no test of ${file} is called '${title}', or it was skipped`;
}

function missingWords(patch: Patch, output: string): string | undefined {
  const missing = patch.says.filter((words) => !output.includes(words));
  return missing.length > 0 ? `red, but the failure does not say '${missing.join("', '")}':\n${output}` : undefined;
}

const tail = ({ output }: Ended) => output.trimEnd().split('\n').slice(-15).join('\n');
