import type { Proposal } from '../../check/propose.ts';
import type { ConnectionConfig } from '../../core/config.ts';
import type { Needs, Strategy } from '../../core/strategy/strategy.ts';
import type { KeyCipher } from '../../repository/keys.ts';
import type { SecretFile } from './from-env.ts';
import type { OldWork } from './old-work.ts';
import type { RepositorySection } from './repository.ts';
import type { Setting } from './settings.ts';

export type InitPlan = {
  cluster: string;
  host: string;
  configFile: string;
  /** The configuration is there and has the cluster: it rules, and no strategy is chosen. */
  isKnown: boolean;
  /** How the server is looked at, this once. */
  look: ConnectionConfig;
  /** For the look alone; null: as every connection finds its own. It is kept as one of `secrets`. */
  password: string | null;
  /** As the configuration has it. */
  connection: ConnectionConfig;
  /** Nearest first. */
  repositories: [RepositorySection, ...RepositorySection[]];
  keyFile: string | null;
  cipher: KeyCipher;
  /** What the flags say; the rest is asked, or measured. */
  needs: Partial<Pick<Needs, 'bytes' | 'rpo' | 'rto'>>;
  /** Made beside the configuration. */
  secrets: SecretFile[];
  /** What `--from-env` named, and what became of each setting in it. */
  old: { file: string; settings: Setting[]; work: OldWork } | null;
};

/** What init has made and what remains to be done. */
export type Setup = {
  cluster: string;
  configFile: string;
  keyFile: string | null;
  /** Of the nearest one. */
  repository: string;
  /** Locations of all, nearest first. */
  repositories: string[];
  era: string;
  server: string;
  /** Of the configuration that was written now; null where one was there. */
  strategy: Pick<Strategy, 'name' | 'why' | 'notes'> | null;
  secretFiles: string[];
  oldSettings: Setting[];
  isStandby: boolean;
  /** A worker of this host ships the cluster's WAL already. */
  isRunning: boolean;
  hasHeartbeat: boolean;
} & Proposal; // what of it the server does not have yet
