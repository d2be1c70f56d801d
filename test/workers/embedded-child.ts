import { openEmbedded } from '../../workers/embedded/server.ts';
import { silent } from '../support/temporal.ts';

/** A parent to be killed: starts the server, says its pid, waits. */
const [folder, port, uiPort] = process.argv.slice(2) as [string, string, string];
const ports = { port: Number(port), uiPort: Number(uiPort) };
const server = await openEmbedded({ ports, folder, log: silent, env: process.env });
void server.run(new AbortController().signal);
await server.ready;
console.log(server.pid());
