import { checkArrows } from './check.ts';

/** Says whether imports point downwards only, and in no circle. Having inspected nothing is a failure, not a pass. */
const { files, imports, findings } = checkArrows(process.cwd());
for (const finding of findings) console.log(finding);
if (files === 0) console.log(`no source file found below ${process.cwd()}`);
else if (imports === 0) console.log(`no import found in ${files} source files`);
console.log(`arrows: ${imports} imports of ${files} files, ${findings.length} findings`);
process.exitCode = imports === 0 || findings.length > 0 ? 1 : 0;
