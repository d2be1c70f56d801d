import { asPgproofError } from '../core/errors.ts';

/**
 * What one check found. `problem`: pgproof cannot do its work, or not keep its promise. `warning`: it can, and a person should
 * know. `fix`: the statement, line or command that mends it, ready to run; null where there is nothing to mend.
 */
export type Finding = { name: string; status: 'ok' | 'warning' | 'problem'; detail: string; fix: string | null };

export const ok = (name: string, detail: string): Finding => ({ name, status: 'ok', detail, fix: null });

export const warning = (name: string, detail: string, fix: string | null): Finding => ({
  name,
  status: 'warning',
  detail,
  fix,
});

export const problem = (name: string, detail: string, fix: string | null): Finding => ({
  name,
  status: 'problem',
  detail,
  fix,
});

/**
 * A check that could not be carried out is a problem under its own name, never a check that is missing from the list.
 * Interruption is none: it ends the whole.
 */
export async function attempt(name: string, signal: AbortSignal, look: () => Promise<Finding[]>): Promise<Finding[]> {
  try {
    return await look();
  } catch (thrown) {
    signal.throwIfAborted();
    const error = asPgproofError(thrown);
    return [problem(name, error.message, error.hint)];
  }
}
