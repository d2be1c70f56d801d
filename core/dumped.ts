import type { ClusterConfig, ScheduleConfig } from './config.ts';
import { type DumpRequest, dumpRequest } from './request.ts';

/** Whether dumps are meant to be taken of this cluster: its configuration says something about them. */
export function isDumped({ dumps, schedules, objectives, tools }: ClusterConfig): boolean {
  const { databases, perDatabase, ...options } = dumps;
  return (
    Object.values(schedules).some(({ run }) => run === 'dump') ||
    objectives.dump !== undefined ||
    tools.docker !== undefined ||
    databases !== 'all' ||
    [perDatabase, options].some((section) => Object.keys(section).length > 0)
  );
}

/** What its schedules ask for; without any, what `dump` alone would. */
export function dumpsAsked({ schedules }: ClusterConfig): DumpRequest[] {
  const scheduled = Object.values(schedules).filter(({ run }) => run === 'dump');
  return scheduled.length === 0 ? [requestOf({ with: {} })] : scheduled.map(requestOf);
}

/** What a schedule of dumps asks for, with its defaults; of no cluster. */
export const requestOf = ({ with: asked }: Pick<ScheduleConfig, 'with'>): DumpRequest =>
  dumpRequest.parse({ ...asked, cluster: 'x' });
