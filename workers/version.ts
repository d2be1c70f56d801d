import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** pgproof's own version. */
export function version(): string {
  const text = readFileSync(fileURLToPath(new URL('../package.json', import.meta.url)), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
