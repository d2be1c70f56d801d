import type { Copies } from '../../parts/copies.ts';
import type { ProtectedCluster } from '../../postgres/cluster.ts';
import type { Opening } from '../peel.ts';
import type { OldWal } from './layout.ts';
import type { Place } from './opened.ts';
import type { Gate } from './take-wal.ts';

export type TakeOrder = {
  dir: string;
  /** Names; null: all. */
  bases: readonly string[] | null;
  place: Place;
  opening: Opening;
  requestedBy: string | null;
  reason: string | null;
};

/** What taking over works with. */
export type Taking = { cluster: ProtectedCluster; copies: Copies; gate: Gate; wal: OldWal; order: TakeOrder };
