import { spawn } from 'node:child_process';

export type Ended = { code: number; output: string };

const running = new Set<number>();

/**
 * Runs a program in a process group of its own, so that a deadline or Ctrl-C ends its children, too. `show` passes its
 * output through; otherwise it is answered.
 */
export function child(
  program: string,
  args: string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv; show?: boolean; timeoutSeconds?: number } = {},
): Promise<Ended> {
  const stdio = options.show ? 'inherit' : 'pipe';
  const started = spawn(program, args, {
    cwd: options.cwd,
    env: options.env,
    stdio: ['ignore', stdio, stdio],
    detached: true,
  });
  const group = started.pid;
  if (group !== undefined) running.add(group);
  let output = '';
  for (const stream of [started.stdout, started.stderr]) stream?.on('data', (data) => (output += data));
  return new Promise((resolve) => {
    const end = (code: number, more = '') => {
      clearTimeout(deadline);
      if (group !== undefined) running.delete(group);
      resolve({ code, output: output + more });
    };
    const deadline = setTimeout(
      () => {
        killGroup(group);
        end(124, `\nnot done within ${options.timeoutSeconds} s`);
      },
      (options.timeoutSeconds ?? 3600) * 1000,
    );
    started.once('error', (error) => end(127, error.message));
    started.once('close', (code) => end(code ?? 1));
  });
}

/** Ctrl-C and kill end what was started, run `cleanup`, and answer 130. */
export function onInterrupt(cleanup: () => void): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      for (const group of running) killGroup(group);
      cleanup();
      process.exit(130);
    });
  }
}

function killGroup(group: number | undefined): void {
  try {
    if (group !== undefined) process.kill(-group, 'SIGKILL');
  } catch {
    // ended meanwhile
  }
}
