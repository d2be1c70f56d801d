/** A policy as RAM and IAM read it. */
export type PolicyDocument = { Version: string; Statement: PolicyStatement[] };

export type PolicyStatement = {
  Sid?: string;
  Effect: 'Allow';
  Action: string[];
  Resource: string[];
  Condition?: Record<string, Record<string, string[]>>;
};

/** Everything that a bucket's owner has to set for one repository. */
export type StorePolicy = {
  /** The least that a host needs which backs up, ships WAL, copies and expires; below the configured prefix only. */
  writer: PolicyDocument;
  /** The least that a host needs which only lists, verifies, restores and drills. It writes reports and holds, and removes nothing. */
  restore: PolicyDocument;
  /** A rule that aborts uploads nobody finished. */
  lifecycle: { format: 'xml' | 'json'; document: string; command: string };
  /** What to know before versioning or a lock is switched on, a sentence each. */
  advice: string[];
};

/** No object of ours takes longer to write, and pgproof itself aborts what is older than three days. */
export const abortAfterDays = 7;
