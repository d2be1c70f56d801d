import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseDocument } from 'yaml';

/** Where the demo plays: one folder that holds everything it makes, and the two ports it needs. */
export type Stage = {
  root: string;
  dataDir: string;
  socketDir: string;
  configFile: string;
  repository: string;
  keyFile: string;
  logs: { server: string; up: string };
  ports: { temporal: number; ui: number };
  clear(): Promise<void>;
};

/** A short path on purpose: a Unix socket's may have 107 bytes at most. */
export async function setStage(): Promise<Stage> {
  const root = await mkdtemp(join(tmpdir(), 'pgproof-demo-'));
  const [temporal, ui] = (await freePorts(2)) as [number, number];
  return {
    root,
    dataDir: join(root, 'data'),
    socketDir: root,
    configFile: join(root, 'pgproof.yaml'),
    repository: join(root, 'repository'),
    keyFile: join(root, 'demo.key'),
    logs: { server: join(root, 'postgresql.log'), up: join(root, 'up.log') },
    ports: { temporal, ui },
    clear: () => rm(root, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 }),
  };
}

/** The state folder goes onto the stage too, and no Temporal but the demo's own is asked. */
export function environment(stage: Stage): Record<string, string | undefined> {
  return {
    XDG_STATE_HOME: stage.root,
    TEMPORAL_ADDRESS: undefined,
    TEMPORAL_PROFILE: undefined,
    TEMPORAL_CONFIG_FILE: join(stage.root, 'no-profile.toml'),
  };
}

/** What `init` cannot know: ports that are free on this machine just now. */
export async function addPorts(stage: Stage): Promise<void> {
  const document = parseDocument(await readFile(stage.configFile, 'utf8'));
  document.setIn(['temporal', 'embedded'], { port: stage.ports.temporal, uiPort: stage.ports.ui });
  await writeFile(stage.configFile, document.toString());
}

/** Held all at once before they are let go, so that no two are the same. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(servers.map(listen));
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

function listen(server: ReturnType<typeof createServer>): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : 0);
    });
  });
}
