import type { Proposal } from '../../check/propose.ts';
import type { ConnectionConfig } from '../../core/config.ts';
import type { RepositorySection } from './repository.ts';

/** What init has made and what remains to be done. */
export type Setup = {
  cluster: string;
  configFile: string;
  keyFile: string | null;
  repository: string;
  era: string;
  server: string;
} & Proposal;

export type InitPlan = {
  cluster: string;
  host: string;
  configFile: string;
  connection: ConnectionConfig;
  role: string;
  repository: RepositorySection;
  keyFile: string | null;
};
