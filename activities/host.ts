import type { Host } from '../host/host.ts';
import { backupSteps } from './backup.ts';
import { checkSteps } from './check.ts';
import { copySteps } from './copy.ts';
import { drillSteps } from './drill.ts';
import { dumpSteps } from './dump.ts';
import { expireSteps } from './expire.ts';
import { helloSteps } from './hello.ts';
import { reportSteps } from './reports.ts';
import { restoreSteps } from './restore.ts';
import { verifySteps } from './verify.ts';
import { walSyncSteps } from './wal-sync.ts';

/** All the steps that a database host does. Each of its three queues knows them all; workflows choose the queue. */
export function createHostActivities(host: Host, version: string) {
  return {
    ...helloSteps(host, version),
    ...backupSteps(host),
    ...checkSteps(host),
    ...copySteps(host),
    ...drillSteps(host),
    ...dumpSteps(host),
    ...expireSteps(host),
    ...restoreSteps(host),
    ...verifySteps(host),
    ...walSyncSteps(host),
    ...reportSteps(host),
  };
}

export type HostActivities = ReturnType<typeof createHostActivities>;
