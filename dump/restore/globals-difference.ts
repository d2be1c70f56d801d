/** `ALTER ROLE app WITH LOGIN … PASSWORD 'SCRAM…' VALID UNTIL '…'`: its words, texts in quotes in one piece. */
const attribute = /(PASSWORD|VALID UNTIL) '(?:[^']|'')*'|CONNECTION LIMIT -?\d+|[A-Z]+/g;

/**
 * What a statement of pg_dumpall says of a role, where the server says something else; no secret, and of settings the name only.
 * @param there all that the server's pg_dumpall says of this role.
 */
export function differenceOf(text: string, there: readonly string[]): string[] {
  if (text.startsWith('COMMENT ON')) return ['its comment'];
  if (text.startsWith('SECURITY LABEL')) return ['its security label'];
  const setting = /^ SET (\S+) TO /.exec(withoutName(text))?.[1];
  if (setting !== undefined) return [`the setting ${setting}`];
  const known = there.flatMap((other) => attributesOf(other) ?? []);
  const wanted = attributesOf(text);
  if (wanted === null) return ['more'];
  const isSaid = (kind: string, list: readonly string[]): boolean => list.some((one) => one.startsWith(kind));
  const lacking = ['PASSWORD', 'VALID UNTIL', 'CONNECTION LIMIT'].filter(
    (kind) => isSaid(kind, known) && !isSaid(kind, wanted),
  );
  return [...wanted.filter((one) => !known.includes(one)).map(toldOf(known)), ...lacking.map((kind) => `no ${kind}`)];
}

const toldOf =
  (known: readonly string[]) =>
  (one: string): string => {
    if (!one.startsWith('PASSWORD')) return one;
    return known.some((other) => other.startsWith('PASSWORD')) ? 'another password' : 'a password';
  };

function attributesOf(text: string): string[] | null {
  const words = /^ WITH ([\s\S]*)$/.exec(withoutName(text))?.[1];
  return words === undefined ? null : [...words.matchAll(attribute)].map(([one]) => one);
}

const withoutName = (text: string): string => text.replace(/^ALTER ROLE (?:"(?:[^"]|"")+"|\S+)/, '');
