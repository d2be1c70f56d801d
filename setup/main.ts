import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Need, needsOf } from './needs.ts';
import { ownCache } from './places.ts';
import { SetupError, say } from './say.ts';

/** setup/main.ts demo|test: looks for what the goal needs and installs what is missing. Exit 2: a person has to act. */
const [goal = '', locked] = process.argv.slice(2);
try {
  await provide(goal);
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  say(error.message);
  process.exitCode = error.exitCode;
}

async function provide(goal: string): Promise<void> {
  const needs = needsOf[goal];
  if (needs === undefined) throw new SetupError(`setup knows ${Object.keys(needsOf).join(', ')}, not '${goal}'`, 2);
  const missing = needs.filter((need) => !need.found());
  if (missing.length === 0) return;
  if (process.env.PGPROOF_INSTALL === 'no') throw refusal(missing);
  process.umask(0o022); // what root installs serves every user
  if (locked !== '--locked') return again(goal);
  say(`setting up, once: ${missing.map((need) => need.name).join(', ')}`);
  for (const need of missing) await install(need, goal);
}

/** A demo stops at what it cannot get. Tests without a tool are skipped, loudly; in CI nothing may be skipped. */
async function install(need: Need, goal: string): Promise<void> {
  if (need.found()) return; // another need's packages brought it
  try {
    await need.install();
    if (!need.found()) throw new SetupError(`${need.name} was installed, but is not found`);
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    const text = `${need.name} could not be set up: ${error.message}\nTo get it by hand: ${need.byHand}`;
    if (goal === 'demo' || process.env.CI) throw new SetupError(text, goal === 'demo' ? 2 : 1);
    say(`${text}\n!!! TESTS THAT NEED ${need.name.toUpperCase()} WILL BE SKIPPED OR FAIL !!!`);
  }
}

function refusal(missing: Need[]): SetupError {
  const names = missing.map((need) => need.name).join(', ');
  const lines = missing.map((need) => need.byHand).join(' && ');
  return new SetupError(`missing, and PGPROOF_INSTALL=no: ${names}; run: ${lines}`, 2);
}

/** The same again under a lock that dies with its holder, so that two runs do not install the same thing. */
function again(goal: string): void {
  const cache = ownCache();
  makeCache(cache);
  const lock = join(cache, '.setup-lock');
  const self = [process.execPath, process.argv[1] as string, goal, '--locked'];
  const tryLock = ['--no-fork', '--nonblock', '--conflict-exit-code', '75', lock];
  let { status, signal } = spawnSync('flock', [...tryLock, ...self], { stdio: 'inherit' });
  if (status === 75) {
    say('another run is setting up; waiting for it');
    ({ status, signal } = spawnSync('flock', ['--no-fork', lock, ...self], { stdio: 'inherit' }));
  }
  process.exitCode = signal ? 1 : (status ?? 1);
}

function makeCache(cache: string): void {
  try {
    mkdirSync(cache, { recursive: true });
    if (process.getuid?.() === 0) chmodSync(cache, 0o755);
  } catch (error) {
    throw new SetupError(
      `cannot write the cache ${cache}: ${(error as Error).message}; set PGPROOF_CACHE to another folder`,
      2,
    );
  }
}
