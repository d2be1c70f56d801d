import { DefaultFailureConverter } from '@temporalio/common';

/** For fleets whose payloads are sealed: messages and stacks of failures become payloads, too. Chosen by workers/payloads.ts. */
export const failureConverter = new DefaultFailureConverter({ encodeCommonAttributes: true });
