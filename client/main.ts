import { CommanderError } from 'commander';
import { createProgram } from './program.ts';
import { printError } from './session.ts';

// Whoever reads along may leave (a closed terminal, `| head`); a backup that is being taken goes on.
for (const stream of [process.stdout, process.stderr])
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });

const json = process.argv.includes('--json');

try {
  await createProgram().parseAsync(process.argv);
} catch (error) {
  if (error instanceof CommanderError && error.exitCode === 0) process.exitCode = 0;
  else process.exitCode = await printError(error, json);
}
