import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** What stands in for Docker, of which there is no daemon here: one container, with the programs of one folder in it. */
export type StandIn = {
  container: string;
  /** The arguments of every call. */
  calls(): string[][];
  /** Takes it off PATH. */
  remove(): void;
};

/**
 * Puts a program `docker` on PATH that takes `docker exec [-i] [-e NAME]… CONTAINER PROGRAM …` and no more. As with the real one, what it
 * runs has no environment but what was named, is no child of `docker`, survives its death, and only sees its standard input end. It is
 * root of a user namespace, as `docker exec` is root in its container, where the kernel lets it.
 */
export function standInDocker(folder: string, bin: string, container = 'shop-db'): StandIn {
  mkdirSync(folder, { recursive: true });
  const calls = join(folder, 'calls');
  writeFileSync(join(folder, 'docker'), program({ calls, bin, container, codes: join(folder, 'code-') }));
  chmodSync(join(folder, 'docker'), 0o755);
  const before = process.env.PATH;
  process.env.PATH = [folder, before].join(delimiter);
  const lines = () => (existsSync(calls) ? readFileSync(calls, 'utf8').trimEnd().split('\n') : []);
  return {
    container,
    calls: () => lines().map((line) => JSON.parse(line) as string[]),
    remove: () => {
      process.env.PATH = before;
    },
  };
}

const program = (given: {
  calls: string;
  bin: string;
  container: string;
  codes: string;
}): string => `#!${process.execPath}
const { appendFileSync, existsSync, readFileSync, rmSync } = require('node:fs');
const { spawn } = require('node:child_process');
const { calls, bin, container, codes } = ${JSON.stringify(given)};
const args = process.argv.slice(2);
appendFileSync(calls, JSON.stringify(args) + '\\n');
const fail = (text) => { process.stderr.write(text + '\\n'); process.exit(1); };
if (args.shift() !== 'exec') fail('docker: unknown command');
const env = { PATH: bin + ':/usr/bin:/bin' };
let input = 'ignore';
for (;;) {
  if (args[0] === '-i') input = 'inherit';
  else if (args[0] === '-e') { args.shift(); if (args[0] in process.env) env[args[0]] = process.env[args[0]]; }
  else break;
  args.shift();
}
if (args[0] !== container) fail('Error response from daemon: No such container: ' + args[0]);
const code = codes + process.pid;
const user = ${JSON.stringify(userNamespace())};
const command = ['--fork', ...user, 'sh', '-c', '"$@"; echo $? >"$0.new"; mv "$0.new" "$0"', code, ...args.slice(1)];
spawn('setsid', command, { env, stdio: [input, 'inherit', 'inherit'] });
const look = setInterval(() => {
  if (!existsSync(code)) return;
  clearInterval(look);
  process.exitCode = Number(readFileSync(code, 'utf8'));
  rmSync(code);
}, 20);
`;

/** What makes a command root of a user namespace of its own; nothing where that is forbidden. */
function userNamespace(): string[] {
  const command = ['unshare', '--user', '--map-root-user'];
  try {
    execFileSync(command[0] as string, [...command.slice(1), 'true'], { stdio: 'ignore' });
    return command;
  } catch {
    return [];
  }
}
