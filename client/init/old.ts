import type { OldScript } from '../../core/strategy/strategy.ts';
import type { KeyCipher } from '../../repository/keys.ts';

/** The old scripts' settings by what they mean, whatever their names. */
export type Old = {
  mode?: 'docker' | 'host';
  /** The container that POSTGRES_HOST names in docker mode. */
  container?: string;
  /** What was to be done. */
  scripts?: readonly OldScript[];
  database?: string;
  globals?: boolean;
  host?: string;
  port?: number;
  user?: string;
  password?: string;
  encrypted?: boolean;
  walEncrypted?: boolean;
  cipher?: KeyCipher;
  encryptionPassword?: string;
  days?: number;
  baseDays?: number;
  walDays?: number;
  store?: 'local' | 'oss' | 'both';
  folder?: string;
  bucket?: string;
  region?: string;
  endpoint?: string;
  prefix?: string;
  accessKeyId?: string;
  accessKeySecret?: string;
  securityToken?: string;
};

export const passwordFile = (cluster: string): string => `${cluster}.password`;
export const oldPasswordFile = (cluster: string): string => `${cluster}.old-encryption-password`;
export const credentialsFile = (cluster: string): string => `${cluster}.oss-credentials.json`;

/** Without a word on it, pgproof encrypts. */
export const isEncrypted = ({ encrypted, walEncrypted }: Old): boolean => (encrypted ?? true) || walEncrypted === true;
export const windowDays = ({ baseDays }: Old): number => baseDays ?? 7;
/** Physical scripts alone made none. */
export const hasDumps = ({ scripts = [] }: Old): boolean => scripts.includes('labelled') || scripts.includes('files');
export const isBucket = (old: Old): boolean => old.bucket !== undefined && old.store !== 'local';
/** Without BACKUP_MODE and a bucket the scripts wrote to a folder. */
export const isLocal = (old: Old): boolean => old.store !== 'oss';
export const localFolder = ({ folder }: Old): string => `${folder?.replace(/\/+$/, '')}/pgproof`;
