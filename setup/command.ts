import { type SpawnOptions, spawn } from 'node:child_process';
import { SetupError, say } from './say.ts';

export type CommandOptions = { cwd?: string; env?: NodeJS.ProcessEnv; timeoutSeconds: number; doing?: string };

/**
 * Runs a program and answers its stdout. A person sees that it still runs (`doing`, every 20 s).
 * @throws {SetupError} with the program's last lines when it fails or takes longer than allowed.
 */
export function command(program: string, args: string[], options: CommandOptions): Promise<string> {
  const { cwd, env = process.env, timeoutSeconds, doing } = options;
  const started = Date.now();
  const seconds = () => Math.round((Date.now() - started) / 1000);
  const spawnOptions: SpawnOptions = { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] };
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, spawnOptions);
    let stdout = '';
    let all = '';
    child.stdout?.on('data', (data) => {
      stdout += data;
      all += data;
    });
    child.stderr?.on('data', (data) => {
      all += data;
    });
    const progress = setInterval(() => doing && say(`${doing}: ${seconds()} s`), 20_000);
    const deadline = setTimeout(() => child.kill('SIGKILL'), timeoutSeconds * 1000);
    const settle = () => {
      clearInterval(progress);
      clearTimeout(deadline);
    };
    child.once('error', (error) => {
      settle();
      reject(new SetupError(`cannot run ${program}: ${error.message}`));
    });
    child.once('close', (code, signal) => {
      settle();
      if (code === 0) return resolve(stdout);
      const why = seconds() >= timeoutSeconds ? `took longer than ${timeoutSeconds} s` : `ended with ${signal ?? code}`;
      const lastLines = all.trimEnd().split('\n').slice(-8).join('\n  ');
      reject(new SetupError(`${program} ${args.slice(0, 3).join(' ')} … ${why}:\n  ${lastLines}`));
    });
  });
}
