import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { importsOf } from './imports.ts';
import { forbidden, isKnownFolder } from './rules.ts';

/** Inspects all sources below `root`; one line for each forbidden import or unknown folder. */
export function checkArrows(root: string): { files: number; findings: string[] } {
  const files = globSync('*/**/*.ts', { cwd: root, exclude: ['node_modules'] }).sort();
  const unknown = [...new Set(files.map((file) => file.split('/')[0] as string))].filter(
    (name) => !isKnownFolder(name),
  );
  const findings = [
    ...unknown.map((folder) => `${folder}/ is no layer of test/arrows/rules.ts: say where it stands`),
    ...files.flatMap((file) => findingsIn(root, file)),
  ];
  return { files: files.length, findings };
}

function findingsIn(root: string, file: string): string[] {
  try {
    return importsOf(file, readFileSync(join(root, file), 'utf8')).flatMap((arrow) => {
      const why = forbidden(arrow);
      return why === undefined ? [] : [`${file} imports ${arrow.to}: ${why}`];
    });
  } catch (error) {
    return [`${file}: ${(error as Error).message}`];
  }
}
