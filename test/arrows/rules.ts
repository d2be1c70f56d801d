/** The layers, from above to below: a folder may import itself and what stands here for it. */
const ENGINES = 'backup wal restore drill dump import copy verify check expire report sink watch'.split(' ');
const BASE = ['parts', 'postgres', 'repository', 'storage', 'codec', 'core'];
const SIDEWAYS: Record<string, string[]> = {
  backup: ['wal'],
  restore: ['wal'],
  dump: ['restore'],
  drill: ['restore', 'wal', 'dump'],
  verify: ['restore', 'wal', 'dump'],
  import: ['backup', 'dump', 'restore', 'wal'],
  copy: ['wal'],
  check: ['wal', 'watch', 'sink', 'dump'],
  watch: ['wal'],
};
const BELOW_HOST = [...ENGINES, ...BASE];
const BELOW_EDGE = ['host', ...BELOW_HOST];

const allowed: Record<string, string[]> = {
  client: ['workers', 'workflows', 'activities', ...BELOW_EDGE, 'setup'],
  workers: ['workflows', 'activities', ...BELOW_EDGE],
  workflows: ['activities', 'core'],
  activities: BELOW_EDGE,
  host: BELOW_HOST,
  ...Object.fromEntries(ENGINES.map((engine) => [engine, [...(SIDEWAYS[engine] ?? []), 'report', ...BASE]])),
  ...Object.fromEntries(BASE.map((layer, index) => [layer, BASE.slice(index + 1)])),
  setup: [],
};

/** Tools around the product, not part of it: they may import everything, and nothing imports them. */
const AROUND = ['test', 'bench', 'docs'];
const KNOWS_TEMPORAL = ['client', 'workers', 'workflows', 'activities'];
/** Deterministic and pure: nothing of the machine. */
const PURE = ['core', 'workflows'];

/** An import as the checker sees it: `to` is a path from the checkout's root, or a package's name. */
export type Arrow = { from: string; to: string; inside: boolean; builtin: boolean; typeOnly: boolean };

export const isKnownFolder = (folder: string): boolean => folder in allowed || AROUND.includes(folder);

/** Why an import is forbidden; undefined when it is not. */
export function forbidden({ from, to, inside, builtin, typeOnly }: Arrow): string | undefined {
  const layer = folderOf(from);
  if (AROUND.includes(layer)) return undefined;
  if (builtin) return PURE.includes(layer) ? `${layer}/ is pure and imports nothing of Node` : undefined;
  if (!inside) {
    const temporal = to.startsWith('@temporalio/') && !KNOWS_TEMPORAL.includes(layer);
    return temporal ? `nothing below activities/ knows of Temporal` : undefined;
  }
  const target = folderOf(to);
  if (target === layer) return undefined;
  if (!allowed[layer]?.includes(target)) return `${layer}/ may not import ${target}/`;
  if (layer === 'workflows' && target === 'activities' && !typeOnly)
    return 'workflows/ imports only types of activities/';
  return undefined;
}

const folderOf = (path: string) => path.split('/')[0] ?? '';
