import { startServer } from '../../postgres/control.ts';

/**
 * A process of ours for control.test.ts to kill: starts the server its arguments name, says so, and waits for the end.
 * Arguments: bin, major, data folder, socket folder.
 */
const [bin, major, dataDir, socketDir] = process.argv.slice(2) as [string, string, string, string];
const server = await startServer({
  tools: { bin, major: Number(major) },
  dataDir,
  socketDir,
  settings: {},
  logFile: `${socketDir}/log`,
  signal: new AbortController().signal,
  wait: 'connect',
});
process.stdout.write(`${server.pid}\n`);
setInterval(() => {}, 60_000);
