import { setTimeout as sleep } from 'node:timers/promises';
import { NativeConnection, type WorkerOptions } from '@temporalio/worker';
import { pino } from 'pino';
import * as z from 'zod';
import { atEdge } from '../activities/edge.ts';
import type { Greeting } from '../activities/hello.ts';
import { createHostActivities } from '../activities/host.ts';
import { sectionHash } from '../activities/section-hash.ts';
import type { Config } from '../core/config.ts';
import { hostQueues } from '../core/queues.ts';
import { features } from '../core/request.ts';
import type { Host } from '../host/host.ts';
import { createHostWorkers } from '../workers/host-workers.ts';
import { installRuntime } from '../workers/runtime.ts';
import { serveWorkers } from '../workers/serve.ts';
import { recordedAnswers } from './fleet-answers.ts';
import { fleetConfig, stepSeconds } from './fleet-config.ts';

/*
 * The hosts of a fleet, all of them in this process, started by fleet-of.ts: workers as the product makes them, each with
 * its three queues, at the real edge (heartbeats, cancellation), with engines that only take the time a real one would and
 * answer what a real one answered.
 */

export type HostsOrder = { address: string; namespace: string; clusters: number };
/** The first step of a run's own, after `resolve` and `hello`, has begun on its host. */
export type Begun = { workflowId: string; startedAt: number; begunAt: number };
export type Told = { factor: number };
export type Said = 'serving' | Begun[];

const order = JSON.parse(process.argv[2] as string) as HostsOrder;
const say = (said: Said): void => void (process.connected && process.send?.(said));
const stop = new AbortController();
process.once('disconnect', () => stop.abort());
let factor = 1000;
process.on('message', (told: Told) => {
  factor = told.factor;
});
process.on('SIGINT', () => undefined); // the parent stops us
await serve(order, stop.signal);

async function serve({ address, namespace, clusters }: HostsOrder, signal: AbortSignal): Promise<void> {
  installRuntime(pino({ level: 'fatal' }, pino.destination(2)));
  const config = fleetConfig(clusters);
  const connection = await NativeConnection.connect({ address });
  const beginnings = tellBeginnings();
  try {
    const workers = await Promise.all(
      Object.keys(config.hosts).map((name) => {
        const activities = stubs(config, name, beginnings.note);
        const shared = { connection, namespace, identity: name, activities, shutdownForceTime: '1 second' } as const;
        return createHostWorkers(shared, hostQueues(config.fleet, name), 1);
      }),
    );
    await serveWorkers(workers.flat(), { signal, onServing: () => say('serving') });
  } finally {
    beginnings.stop();
    await connection.close();
  }
}

type Steps = NonNullable<WorkerOptions['activities']>;

/** Every step that the product's hosts know, under its name. */
function stubs(config: Config, host: string, note: (begun: Begun) => void): Steps {
  const answers = recordedAnswers();
  const names = Object.keys(createHostActivities({} as Host, ''));
  return {
    ...Object.fromEntries(names.map((name) => [name, stub(name, answerTo(name, answers))])),
    hello: atEdge(
      z.object({ cluster: z.string() }),
      async ({ cluster }): Promise<Greeting> => ({
        host,
        version: '0.1.0',
        features,
        configHash: sectionHash(config.clusters[cluster]!),
      }),
    ),
  };

  function stub(name: string, answer: unknown) {
    return atEdge(z.object({ startedAt: z.iso.datetime() }), async ({ startedAt }, { workflowId, signal }) => {
      note({ workflowId, startedAt: Date.parse(startedAt), begunAt: Date.now() });
      await sleep(((stepSeconds[name] ?? 0.2) * 1000) / factor, undefined, { signal });
      return answer;
    });
  }
}

/** A report of another operation is of about the same size. */
function answerTo(name: string, answers: Map<string, unknown>): unknown {
  return answers.has(name) ? answers.get(name) : answers.get('copyOffsite');
}

/** Tells the parent once a second what has begun, of each run its first step only. */
function tellBeginnings(): { note(begun: Begun): void; stop(): void } {
  const seen = new Set<string>();
  let untold: Begun[] = [];
  const tell = (): void => {
    if (untold.length > 0) say(untold);
    untold = [];
  };
  const timer = setInterval(tell, 1000);
  return {
    note: (begun) => {
      if (seen.has(begun.workflowId)) return;
      seen.add(begun.workflowId);
      untold.push(begun);
    },
    stop: () => {
      clearInterval(timer);
      tell();
    },
  };
}
