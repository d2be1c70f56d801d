import type { PgproofError } from '../core/errors.ts';
import type { EraFacts } from './affects.ts';
import type { Findings } from './findings.ts';
import type { Known } from './known.ts';
import type { Looking } from './looking.ts';
import type { ReadBack } from './read-back.ts';
import type { Rotation } from './share.ts';
import type { ToldBackup } from './told.ts';

/** All that one look at one repository collects. */
export type State = {
  looking: Looking;
  findings: Findings;
  rotation: Rotation | null;
  done: ReadBack;
  known: Known;
  told: Map<string, ToldBackup>;
  facts: Map<string, EraFacts>;
  foreign: number;
  /** Whether all of the share was read. */
  complete: boolean;
  unpacked: string[];
  dumpsRead: string[];
  notes: string[];
  /** What kept it from being looked at as a whole. */
  stopped: PgproofError | null;
};
