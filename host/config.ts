import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type Document, LineCounter, parseDocument } from 'yaml';
import { type Config, configSchema } from '../core/config.ts';
import { PgproofError } from '../core/errors.ts';
import { configPlaces } from './paths.ts';
import { type ConfigProblem, describeProblems } from './problems.ts';

/**
 * Finds the file: the one named, otherwise the first of the usual places.
 * @returns its absolute path.
 * @throws {PgproofError} `config-missing`, saying where it looked.
 */
export async function findConfig(file: string | undefined): Promise<{ path: string; text: string }> {
  const places = file === undefined ? configPlaces : [file];
  for (const place of places) {
    const path = resolve(place);
    const text = await readText(path);
    if (text !== undefined) return { path, text };
  }
  throw new PgproofError(
    'config-missing',
    `there is no configuration: looked for ${places.map((place) => resolve(place)).join(', ')}`,
    {
      facts: { places: places.map((place) => resolve(place)) },
      hint: 'Run `pgproof init` to propose one, or give --config FILE.',
    },
  );
}

/** @throws {PgproofError} `config-missing`, `config-invalid`, `password-plain`. */
export async function loadConfig(file: string | undefined): Promise<Config> {
  const { path, text } = await findConfig(file);
  return parseConfig(path, text);
}

/**
 * Checks the whole text and names every problem at once: line, key, value, what is allowed, and the key that was perhaps meant.
 * @throws {PgproofError} `config-invalid`; `password-plain` for a password that stands in the file. No value of a secret is quoted.
 */
export function parseConfig(path: string, text: string): Config {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, stringKeys: true });
  const [broken] = document.errors;
  if (broken !== undefined) {
    const { line, col } = lines.linePos(broken.pos[0]);
    throw invalid(path, [
      { line, key: '', text: `column ${col}: this is not YAML: ${broken.message}`, plainPassword: false },
    ]);
  }
  const data: unknown = document.toJS() ?? {};
  const result = configSchema.safeParse(data);
  if (result.success) return result.data;
  throw invalid(
    path,
    describeProblems(result.error.issues, data, (keys) => lineOf(document, lines, keys)),
  );
}

/** The line of the key, or of the nearest one above it that is there. */
function lineOf(document: Document, lines: LineCounter, path: readonly PropertyKey[]): number | null {
  for (let depth = path.length; depth > 0; depth -= 1) {
    const node = document.getIn(path.slice(0, depth), true) as { range?: [number, number, number] | null } | undefined;
    if (node?.range) return lines.linePos(node.range[0]).line;
  }
  return null;
}

function invalid(path: string, problems: readonly ConfigProblem[]): PgproofError {
  const lines = problems.map(({ line, key, text }) =>
    [line === null ? '' : `line ${line}: `, key === '' ? '' : `${key}: `, text].join(''),
  );
  const plain = problems.find(({ plainPassword }) => plainPassword);
  const message =
    lines.length === 1
      ? `the configuration '${path}' is not usable: ${lines[0]}`
      : `the configuration '${path}' has ${lines.length} problems:\n  ${lines.join('\n  ')}`;
  return new PgproofError(plain ? 'password-plain' : 'config-invalid', message, {
    facts: { path, problems: lines },
    hint: plain
      ? 'Put the password into a file of mode 0600 and write password: {file: /path}, or {env: NAME}, or use .pgpass. Change it: it was readable here.'
      : 'Correct the file; every key is described in docs/configuration.md.',
  });
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === 'ENOENT') return undefined;
    throw new PgproofError('config-missing', `the configuration '${path}' cannot be read: ${code}`, {
      facts: { path },
      cause,
    });
  }
}
