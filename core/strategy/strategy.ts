import type * as z from 'zod';
import type { objectives } from '../config/objectives.ts';
import type { retention } from '../config/retention.ts';
import type { schedules } from '../config/schedules.ts';

/** What a cluster is, and what is wanted of its backups. */
export type Needs = {
  /** Of all its databases. */
  bytes: number;
  /** Recovery point objective, in seconds: how much work may be lost. */
  rpo: number;
  /** Recovery time objective, in seconds; null where there is none. */
  rto: number | null;
  /** It has a second repository that `copy` brings up to date. */
  offsite: boolean;
  /** Old scripts whose work is taken over: when their crontab ran them, they run on. */
  scripts?: readonly OldScript[];
};

/** Dumps with labels; base backups and WAL; dumps to a folder and a bucket. */
export type OldScript = 'labelled' | 'physical' | 'files';

/** A section of the configuration as a person writes it, and what stands above it as a comment. */
export type Said<Value> = { value: Value; why: string };

/** Schedules, retention and objectives that fit a cluster: the beginning of a configuration, for people to change. */
export type Strategy = {
  name: 'small' | 'middle' | 'large';
  /** One sentence: for what, and how. */
  why: string;
  objectives: Said<z.input<typeof objectives>>;
  retention: Said<Omit<z.input<typeof retention>, 'dumps'>>;
  /** `retention.dumps`. */
  dumpRetention: Said<NonNullable<z.input<typeof retention>['dumps']>>;
  schedules: Record<string, Said<z.input<typeof schedules>[string]>>;
  /** What a person should know; sentences. */
  notes: string[];
};
