import { checkArrows } from './check.ts';

/** Says whether imports point downwards only. Having inspected nothing is a failure, not a pass. */
const { files, findings } = checkArrows(process.cwd());
for (const finding of findings) console.log(finding);
if (files === 0) console.log(`no source file found below ${process.cwd()}`);
console.log(`arrows: ${files} files, ${findings.length} findings`);
process.exitCode = files === 0 || findings.length > 0 ? 1 : 0;
