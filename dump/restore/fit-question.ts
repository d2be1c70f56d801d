import type { DumpNeeds } from './needs.ts';
import type { DecidedRestore, DumpRestoreMode } from './options.ts';
import type { TargetServer } from './server.ts';
import type { DumpSource } from './source.ts';

/** All that decides whether a dump fits where it shall go. */
export type FitQuestion = {
  source: Pick<DumpSource, 'what' | 'kind' | 'format' | 'content' | 'server' | 'globals' | 'trusted'>;
  server: TargetServer;
  database: string;
  mode: DumpRestoreMode;
  options: DecidedRestore;
  needs: DumpNeeds;
  /** Roles that the globals would make. */
  madeRoles: readonly string[];
  refusedLocale: string | null;
  knowsRestrict: boolean;
};
