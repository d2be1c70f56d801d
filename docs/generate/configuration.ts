import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as z from 'zod';
import { configSchema } from '../../core/config.ts';

/*
 * Makes docs/configuration.md from the schema in core/config.ts: `node_modules/.bin/node docs/generate/configuration.ts`. A test fails when the
 * page is older than the schema.
 */

type Schema = {
  type?: string;
  title?: string;
  description?: string;
  default?: unknown;
  const?: unknown;
  enum?: unknown[];
  minimum?: number;
  maximum?: number;
  anyOf?: Schema[];
  oneOf?: Schema[];
  items?: Schema;
  properties?: Record<string, Schema>;
  additionalProperties?: Schema | boolean;
  required?: string[];
};

const pagePath = fileURLToPath(new URL('../configuration.md', import.meta.url));

const intro = `# Configuration

One YAML file describes the fleet: \`--config FILE\`, otherwise \`./pgproof.yaml\`, otherwise \`/etc/pgproof/pgproof.yaml\`.
This page is made from the schema that checks the file (\`node_modules/.bin/node docs/generate/configuration.ts\`).

* A key that is not on this page is an error, as is a value that is not allowed. All errors are named at once, with line, key and value.
* Names (of hosts, repositories, keys and clusters) are 1 to 63 lower-case letters, digits and dashes, beginning with a letter or digit.
* Durations are a number and a unit: \`30s\`, \`5m\`, \`1h\`, \`7d\`, \`2w\`. Sizes too: \`500KB\`, \`20MB\`, \`1GiB\`.
* A password never stands in the file: give \`{file: /path}\` (mode 0600) or \`{env: NAME}\`, or use \`.pgpass\`.
* \`up\` and \`worker\` read the file when they start: start them anew after a change. Key files, and files of credentials, are read again when they change.

`;

const example = `The shortest one, for one server on this machine; the rest of this page has defaults:

\`\`\`yaml
hosts: { db-7: {} }
repositories: { local: { type: file, path: /var/lib/pgproof/repository } }
keys: { main: { file: /etc/pgproof/main.key } }
clusters:
  shop:
    host: db-7
    connection: { socket: /var/run/postgresql, user: pgproof }
    repositories: [local]
    key: main
\`\`\`

A repository in a bucket instead, whose keys come from the environment:

\`\`\`
repositories: { offsite: { type: oss, bucket: example-backups, region: cn-hangzhou, prefix: pgproof/ } }
\`\`\`
`;

export function configurationPage(): string {
  const schema = z.toJSONSchema(configSchema, { io: 'input' }) as Schema;
  return `${intro}${example}${sections('', schema).join('')}`;
}

/** The page as it is in the tree. */
export function currentPage(): string {
  return readFileSync(pagePath, 'utf8');
}

/**
 * One section for an object with values of its own, and those of the objects inside it, in the schema's order.
 * @param kind which of several objects that may stand in one place, for headings.
 */
function sections(path: string, schema: Schema, kind = ''): string[] {
  const entries = Object.entries(schema.properties ?? {});
  const rows = entries.filter(([, value]) => inner(value).length === 0).map(([key, value]) => row(key, value, schema));
  const own = rows.length === 0 && !schema.description ? [] : [section(path, kind, schema.description, rows)];
  const deeper = entries.flatMap(([key, value]) =>
    inner(value).flatMap(([suffix, object]) => {
      const type = object.properties?.type?.const;
      const description = [...new Set([value.description, object.description])].filter(Boolean).join(' ');
      const inside = `${path === '' ? '' : `${path}.`}${key}${suffix}`;
      return sections(inside, { ...object, description }, type === undefined ? kind : ` of type \`${type}\``);
    }),
  );
  return [...own, ...deeper];
}

function section(path: string, kind: string, description: string | undefined, rows: string[]): string {
  const table = ['| Key | Value | Default | Meaning |', '| --- | --- | --- | --- |', ...rows].join('\n');
  const parts = [
    `\n## ${path === '' ? 'The file' : `\`${path}\`${kind}`}\n`,
    description ? `\n${description}\n` : '',
    rows.length > 0 ? `\n${table}\n` : '',
  ];
  return parts.join('');
}

function row(key: string, value: Schema, parent: Schema): string {
  const choices = (value.anyOf ?? []).flatMap(({ properties = {} }) =>
    Object.entries(properties).map(([name, { description }]) => description && `\`${name}\`: ${description}`),
  );
  const meaning = [value.description, ...choices].filter(Boolean).join(' ');
  return `| \`${key}\` | ${typeText(value)} | ${defaultText(key, value, parent)} | ${meaning.replaceAll('|', '\\|')} |`;
}

/** The objects inside a value, each with what leads to it: a map of names, a list, or the value itself. */
function inner(value: Schema): [string, Schema][] {
  if (value.properties !== undefined) return [['', value]];
  const map = value.additionalProperties;
  if (typeof map === 'object' && map.properties !== undefined) return [['.<name>', map]];
  if (typeof map === 'object' && map.oneOf !== undefined) return map.oneOf.map((variant) => ['.<name>', variant]);
  if (value.items?.properties !== undefined) return [['[]', value.items]];
  return [];
}

function typeText(value: Schema): string {
  if (value.anyOf !== undefined) return value.anyOf.map(typeText).join(' or ');
  if (value.properties !== undefined)
    return `\`{${Object.entries(value.properties)
      .map(([key, type]) => `${key}: ${typeText(type)}`)
      .join(', ')}}\``;
  if (value.const !== undefined) return `\`${value.const}\``;
  if (value.enum !== undefined) return value.enum.map((choice) => `\`${choice}\``).join(', ');
  if (value.items !== undefined) return `list of ${typeText(value.items)}`;
  if (value.type === 'integer') return `${value.minimum} to ${value.maximum}`;
  return value.title ?? (value.type === 'string' ? 'text' : (value.type ?? ''));
}

function defaultText(key: string, value: Schema, parent: Schema): string {
  if (parent.required?.includes(key)) return '**required**';
  if (value.default === '') return 'empty';
  return value.default === undefined
    ? 'none'
    : `\`${typeof value.default === 'string' ? value.default : JSON.stringify(value.default)}\``;
}

if (import.meta.main) writeFileSync(pagePath, configurationPage());
