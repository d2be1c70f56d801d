import type { Finding } from '../check/finding.ts';

const marks = { ok: 'ok      ', warning: 'WARNING ', problem: 'PROBLEM ' } as const;

/** Each finding, and below it what mends it. */
export function findingLines(findings: readonly Finding[]): string[] {
  return findings.flatMap(({ status, name, detail, fix }) => [
    `${marks[status]} ${name}: ${detail}`,
    ...(fix === null || status === 'ok'
      ? []
      : fix
          .trimEnd()
          .split('\n')
          .map((line) => `             ${line}`)),
  ]);
}

/** `1 problem, 2 warnings, 25 checks`. */
export function countsOf(findings: readonly Finding[]): string {
  const of = (wanted: Finding['status']) => findings.filter(({ status }) => status === wanted).length;
  return `${count(of('problem'), 'problem')}, ${count(of('warning'), 'warning')}, ${findings.length} checks`;
}

const count = (number: number, what: string): string => `${number} ${what}${number === 1 ? '' : 's'}`;
