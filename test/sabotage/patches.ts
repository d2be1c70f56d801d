import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

/** A small harm to the product, and what must notice it. */
export type Patch = {
  name: string;
  file: string;
  invariant: string;
  /** `arrows`, or one vitest file and the title of the test in it. */
  reddens: 'arrows' | { file: string; title: string };
  /** Words that the failure must contain: red for another reason is not enough. */
  says: string[];
};

export function readPatches(root: string): Patch[] {
  return globSync('test/sabotage/*.patch', { cwd: root })
    .sort()
    .map((file) => parse(join(root, file)));
}

/** The header stands above the diff as lines `# key: value`. */
function parse(file: string): Patch {
  const header = [...readFileSync(file, 'utf8').matchAll(/^# (\w+): (.+)$/gm)];
  const values = (key: string) =>
    header.filter(([, name]) => name === key).map(([, , value]) => (value as string).trim());
  const [invariant] = values('invariant');
  const [reddens] = values('reddens');
  if (!invariant || !reddens) throw new Error(`${file} needs the lines '# invariant: …' and '# reddens: …'`);
  return { name: basename(file, '.patch'), file, invariant, reddens: parseTarget(file, reddens), says: values('says') };
}

function parseTarget(file: string, reddens: string): Patch['reddens'] {
  if (reddens === 'arrows') return 'arrows';
  const match = /^vitest (\S+) -t "(.+)"$/.exec(reddens);
  if (!match) throw new Error(`${file}: '# reddens:' is 'arrows' or 'vitest FILE -t "TITLE"', not '${reddens}'`);
  return { file: match[1] as string, title: match[2] as string };
}
