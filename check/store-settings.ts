import type { BucketFacts } from '../storage/bucket/bucket.ts';
import { type Finding, ok, problem, warning } from './finding.ts';

/** Signatures carry the time, and stores refuse those that are off by a quarter of an hour. */
const skew = { warning: 60, problem: 600 };

/** @param named the findings' names begin with the repository's. @param policyVerb makes the policy that lacks a right. */
type Asked = { prefix: string; policyVerb: string; named(what: string): string };

/** What a bucket is set to that pgproof lives by. */
export function settingsFindings(facts: BucketFacts, asked: Asked): Finding[] {
  return [
    clock(facts, asked),
    versioning(facts, asked),
    lock(facts, asked),
    lifecycle(facts, asked),
    uploads(facts, asked),
  ];
}

function clock({ clockAheadSeconds: ahead }: BucketFacts, { named }: Asked): Finding {
  const name = named('clock');
  if (ahead === undefined) return ok(name, 'the store does not say what time it is');
  const off = Math.abs(ahead);
  const detail = `this host's clock is ${off.toFixed(0)} s ${ahead > 0 ? 'behind' : 'ahead of'} the store's`;
  const fix = 'timedatectl set-ntp true';
  if (off >= skew.problem) return problem(name, `${detail}: requests are about to be refused`, fix);
  return off >= skew.warning ? warning(name, detail, fix) : ok(name, `within ${skew.warning} s of the store's`);
}

function versioning({ versioning }: BucketFacts, { named, policyVerb }: Asked): Finding {
  const name = named('versioning');
  if (versioning === undefined) return unknown(name, policyVerb);
  if (versioning === 'off') return ok(name, 'off: what is removed is gone');
  return ok(
    name,
    `${versioning}: what is removed stays as an older version, and is paid for, until a lifecycle rule deletes older versions`,
  );
}

function lock({ lock }: BucketFacts, { named, policyVerb }: Asked): Finding {
  const name = named('lock');
  if (lock === undefined) return unknown(name, policyVerb);
  if (lock === 'none') return ok(name, 'none: whoever may delete can delete backups');
  const days = lock.days === null ? 'no default for new objects' : `${lock.days} days for each new object`;
  return ok(name, `${lock.mode}, ${days}: what is to be deleted earlier is reported as retained`);
}

function lifecycle({ deletingRules }: BucketFacts, { named, prefix, policyVerb }: Asked): Finding {
  const name = named('lifecycle');
  if (deletingRules === undefined) return unknown(name, policyVerb);
  if (deletingRules.length === 0) return ok(name, 'no rule deletes or moves objects of the repository');
  return problem(
    name,
    `these rules of the bucket delete objects of the repository, or move them where they cannot be read: ${deletingRules.join(', ')}`,
    `Remove these rules, or exclude the prefix '${prefix}' from them: only pgproof knows which objects a backup needs.`,
  );
}

function uploads({ abortsUploadsAfterDays: days }: BucketFacts, { named, policyVerb }: Asked): Finding {
  const name = named('abandoned-uploads');
  if (days === undefined) return warning(name, 'unknown: the right to read lifecycle rules is missing', policyVerb);
  if (days === 'never')
    return warning(name, 'no rule aborts them; pgproof does, of its own, at the next large object', policyVerb);
  return days >= 4
    ? ok(name, `aborted by the bucket after ${days} days`)
    : warning(name, `aborted by the bucket after ${days} days, perhaps while they are written`, policyVerb);
}

const unknown = (name: string, policyVerb: string): Finding =>
  warning(name, 'unknown: the right to read it is missing', policyVerb);
