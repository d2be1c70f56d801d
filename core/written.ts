/** These keys of a cluster's section. */
type Section = { repositories: string[]; write: 'first' | 'all'; required?: string[] | undefined };

/** Names of the repositories that backups and WAL are written to, nearest first; `copy` brings what they hold to the others. */
export function writtenNames({ repositories, write }: Section): string[] {
  return write === 'all' ? repositories : repositories.slice(0, 1);
}

/** Whether a backup is done, and a segment leaves the spool, only when this repository has it. */
export function isRequired(section: Section, name: string): boolean {
  return (section.required ?? writtenNames(section)).includes(name);
}
