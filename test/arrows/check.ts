import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { circlesAmong } from './circles.ts';
import { importsOf } from './imports.ts';
import { type Arrow, forbidden, isKnownFolder } from './rules.ts';

/** What was inspected, and one line for each forbidden import, circle of imports, or unknown folder below `root`. */
export type Checked = { files: number; imports: number; findings: string[] };

/** Inspects all sources below `root`. */
export function checkArrows(root: string): Checked {
  const files = globSync('*/**/*.ts', { cwd: root, exclude: ['node_modules'] }).sort();
  const unknown = [...new Set(files.map((file) => file.split('/')[0] as string))].filter(
    (name) => !isKnownFolder(name),
  );
  const findings = unknown.map((folder) => `${folder}/ is no layer of test/arrows/rules.ts: say where it stands`);
  const arrows = files.flatMap((file) => arrowsIn(root, file, findings));
  for (const arrow of arrows) {
    const why = forbidden(arrow);
    if (why !== undefined) findings.push(`${arrow.from} imports ${arrow.to}: ${why}`);
  }
  const circles = circlesAmong(ofFiles(arrows));
  findings.push(...circles.map((circle) => `${circle}: a circle; put what they share where all of them may import it`));
  return { files: files.length, imports: arrows.length, findings };
}

function arrowsIn(root: string, file: string, findings: string[]): Arrow[] {
  try {
    return importsOf(file, readFileSync(join(root, file), 'utf8'));
  } catch (error) {
    findings.push(`${file}: ${(error as Error).message}`);
    return [];
  }
}

function ofFiles(arrows: readonly Arrow[]): Map<string, string[]> {
  const inside = Map.groupBy(
    arrows.filter((arrow) => arrow.inside),
    ({ from }) => from,
  );
  return new Map([...inside].map(([from, group]) => [from, group.map(({ to }) => to)]));
}
