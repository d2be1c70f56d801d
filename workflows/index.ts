export { backup } from './backup.ts';
export { check } from './check.ts';
export { copyOffsite } from './copy-offsite.ts';
export { drill } from './drill.ts';
export { expire } from './expire.ts';
export { restore } from './restore.ts';
export { verify } from './verify.ts';
export { walSync } from './wal-sync.ts';
