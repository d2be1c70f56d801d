import type { RepositoryConfig } from '../core/config.ts';

/** Where a repository is, for people and reports: its folder, or `oss://bucket/prefix`. What lies in it follows behind a slash. */
export function locationOf(config: RepositoryConfig): string {
  if (config.type === 'file') return config.path;
  return `${config.type}://${config.bucket}/${config.prefix}`.replace(/\/$/, '');
}
