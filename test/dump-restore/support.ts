import type { DumpOptions } from '../../core/dump.ts';
import { takeDump } from '../../dump/dump.ts';
import { confirmPlan, needsConfirmation } from '../../dump/restore/confirm.ts';
import { type DumpPlanRequest, planDumpRestore } from '../../dump/restore/plan.ts';
import type { DumpPlan } from '../../dump/restore/plan-record.ts';
import type { PlannedResult } from '../../dump/restore/result.ts';
import { startDumpRestore } from '../../dump/restore/start.ts';
import type { DumpRecord } from '../../repository/record.ts';
import { targetOf } from '../dump/support.ts';
import { quietRun } from '../support/run.ts';
import { openStage, type Stage } from '../support/stage.ts';

type Wish = Partial<Omit<DumpPlanRequest, 'dump'>> & { server?: ServerConfig };
type ServerConfig = Parameters<typeof planDumpRestore>[1];

export type DumpStage = Stage & {
  dump(database: string, options?: DumpOptions): Promise<DumpRecord>;
  plan(dump: string, wish?: Wish): Promise<DumpPlan>;
  /** Confirmed, where it has to be. */
  start(plan: DumpPlan, server?: ServerConfig): Promise<PlannedResult>;
  /** One column of one database, as text. */
  column(sql: string, database: string): Promise<string[]>;
};

export async function openDumpStage(options: Parameters<typeof openStage>[0]): Promise<DumpStage> {
  const stage = await openStage(options);
  const { cluster, server } = stage;
  const own: ServerConfig = { name: 'shop', config: cluster.config };
  return {
    ...stage,
    dump: async (database, more = {}) => (await takeDump(cluster, targetOf(database, more), quietRun())).record,
    plan: (dump, { server: to = own, database = 'restored', mode = 'new', options: how = {}, user = null } = {}) =>
      planDumpRestore(cluster, to, { dump: { id: dump }, database, mode, options: how, user }, quietRun()),
    start: async (plan, to = own) => {
      const confirmed = needsConfirmation(plan) ? await confirmPlan(cluster, plan, plan.database, 'a test') : plan;
      return startDumpRestore(cluster, confirmed, to, quietRun(), {
        openFile: () => Promise.reject(new Error('no file here')),
      });
    },
    column: async (sql, database) =>
      (await server.sql<Record<string, unknown>>(sql, [], database)).map((row) => String(Object.values(row)[0])),
  };
}
