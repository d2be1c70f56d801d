import * as z from 'zod';
import { configSchema } from '../core/config.ts';
import { nearest } from './nearest.ts';

/** One thing that is wrong with a config. `line` counts from 1; `key` is its dotted path. */
export type ConfigProblem = { line: number | null; key: string; text: string; plainPassword: boolean };

type Issue = z.core.$ZodIssue;
type Path = readonly PropertyKey[];

/** zod's issues as sentences for a person; values are quoted, except where a secret may stand. */
export function describeProblems(
  issues: readonly Issue[],
  data: unknown,
  lineOf: (path: Path) => number | null,
): ConfigProblem[] {
  return issues
    .flatMap((issue) => expand(issue, data))
    .map(({ path, text }) => ({
      line: lineOf(path),
      key: path.map(String).join('.'),
      text,
      plainPassword: path.at(-1) === 'password' && isPlain(valueAt(data, path)),
    }));
}

function expand(issue: Issue, data: unknown): { path: Path; text: string }[] {
  const { path } = issue;
  if (path.at(-1) === 'password') return [{ path, text: passwordText(valueAt(data, path)) }];
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => ({ path: [...path, key], text: unknownKey(key, path, data) }));
  return [{ path, text: describe(issue, valueAt(data, path), path) }];
}

function describe(issue: Issue, value: unknown, path: Path): string {
  if (issue.code === 'custom' && (typeof value === 'object' || issue.params?.isSentence === true)) return issue.message;
  if (issue.code === 'invalid_key')
    return `'${String(path.at(-1))}' is not a name; expected ${issue.issues[0]?.message ?? 'another'}`;
  const found = value === undefined ? 'is missing' : `has ${quote(value, path)}`;
  return `${found}; expected ${expected(issue)}`;
}

function expected(issue: Issue): string {
  switch (issue.code) {
    case 'invalid_type':
      return typeWords[issue.expected] ?? `a ${issue.expected}`;
    case 'invalid_value':
      return issue.values.map(String).join(', ');
    case 'invalid_union':
      if ('options' in issue) return (issue.options as unknown[]).map(String).join(', ');
      return issue.errors.flatMap(([first]) => (first === undefined ? [] : [expected(first)])).join(', or ');
    case 'too_small':
      return issue.message.startsWith('Too') ? `at least ${issue.minimum}` : issue.message;
    case 'too_big':
      return issue.message.startsWith('Too') ? `at most ${issue.maximum}` : issue.message;
    default:
      return issue.message;
  }
}

/** YAML's words for types. */
const typeWords: Record<string, string> = {
  object: 'a map of keys',
  record: 'a map of names',
  array: 'a list',
  string: 'a text',
  int: 'a whole number',
};

function unknownKey(key: string, path: Path, data: unknown): string {
  const known = keysAt(path, data);
  const meant = nearest(key, known);
  return `is not a key here${meant === undefined ? '' : `; did you mean '${meant}'?`} (allowed: ${known.join(', ')})`;
}

type JsonSchema = {
  properties?: Record<string, JsonSchema>;
  additionalProperties?: JsonSchema | boolean;
  items?: JsonSchema;
  oneOf?: JsonSchema[];
  anyOf?: JsonSchema[];
  const?: unknown;
};

/** The keys that the schema knows at this place; where there are kinds, those of the kind that the value says it is. */
function keysAt(path: Path, data: unknown): string[] {
  let value = data;
  let nodes = kindsOf(z.toJSONSchema(configSchema, { io: 'input' }) as JsonSchema, value);
  for (const key of path) {
    value = (value as Record<PropertyKey, unknown> | undefined)?.[key];
    nodes = nodes.flatMap((node) => childrenOf(node, key)).flatMap((node) => kindsOf(node, value));
  }
  return [...new Set(nodes.flatMap((node) => Object.keys(node.properties ?? {})))];
}

function childrenOf({ properties, items, additionalProperties }: JsonSchema, key: PropertyKey): JsonSchema[] {
  const more = typeof additionalProperties === 'object' ? additionalProperties : undefined;
  const child = properties?.[String(key)] ?? items ?? more;
  return child === undefined ? [] : [child];
}

function kindsOf(node: JsonSchema, value: unknown): JsonSchema[] {
  const kinds = node.oneOf ?? node.anyOf;
  if (kinds === undefined) return [node];
  const said = (key: string) => (value as Record<string, unknown> | null | undefined)?.[key];
  return kinds.filter(({ properties = {} }) =>
    Object.entries(properties).every(([key, property]) => property.const === undefined || property.const === said(key)),
  );
}

function passwordText(value: unknown): string {
  return isPlain(value)
    ? 'a plain password is refused; expected {file: /path} or {env: NAME}'
    : 'expected {file: /path} or {env: NAME}';
}

function isPlain(value: unknown): boolean {
  return typeof value === 'string' || typeof value === 'number';
}

function valueAt(data: unknown, path: Path): unknown {
  return path.reduce<unknown>((value, key) => (value as Record<PropertyKey, unknown> | null | undefined)?.[key], data);
}

function quote(value: unknown, path: Path): string {
  if (path.some((key) => /pass|secret|token/i.test(String(key)))) return 'a value that is not shown';
  if (value === null) return 'no value';
  if (typeof value === 'object') return Array.isArray(value) ? 'a list' : 'a map';
  const text = String(value);
  return `'${text.length > 80 ? `${text.slice(0, 77)}…` : text}'`;
}
