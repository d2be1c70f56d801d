import { execa } from 'execa';
import { isErrorCode, PgproofError } from '../../core/errors.ts';
import { environment, type Stage } from './stage.ts';

const main = new URL('../main.ts', import.meta.url).pathname;

/** Runs a verb with --json as a person would, shows what it says meanwhile, and answers its document. */
export type Cli = <T>(verb: string[], options: { timeoutSeconds: number }) => Promise<T>;

/** The demo uses pgproof by its command line only: what it shows is what a user gets. Exit codes 0 and 3 are answers. */
export function cliWith(stage: Stage, host: string, signal: AbortSignal): Cli {
  return async <T>(verb: string[], { timeoutSeconds }: { timeoutSeconds: number }) => {
    const result = await execa(
      process.execPath,
      [main, ...verb, '--config', stage.configFile, '--host', host, '--json'],
      {
        reject: false,
        stdin: 'ignore',
        stderr: ['inherit', 'pipe'],
        env: environment(stage),
        cancelSignal: signal,
        timeout: timeoutSeconds * 1000,
      },
    );
    if (result.isCanceled) throw new PgproofError('cancelled', 'interrupted');
    if (result.timedOut)
      throw new PgproofError('timeout', `pgproof ${verb.join(' ')} did not end within ${timeoutSeconds} s`);
    const document = parse(verb, result.stdout, result.stderr);
    if (result.exitCode === 0 || (result.exitCode === 3 && !('error' in document))) return document as T;
    throw failure(verb, document, result.exitCode);
  };
}

function parse(verb: string[], stdout: string, stderr: string): object {
  try {
    return JSON.parse(stdout) as object;
  } catch (cause) {
    throw new PgproofError('internal', `pgproof ${verb.join(' ')} answered no JSON document: ${stderr.slice(-2000)}`, {
      cause,
    });
  }
}

function failure(verb: string[], document: object, exitCode: number | undefined): PgproofError {
  const { error } = document as { error?: { code: string; message: string; hint: string | null } };
  const message = `pgproof ${verb.join(' ')} failed (exit ${exitCode}): ${error?.message ?? 'no reason given'}`;
  const code = error !== undefined && isErrorCode(error.code) ? error.code : 'internal';
  return new PgproofError(code, message, error?.hint ? { hint: error.hint } : {});
}
