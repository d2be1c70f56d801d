/**
 * How long a host's loops wait for a store in one request. They begin again by themselves and lose nothing by it, and an outage must be
 * said within a minute, not after the ten that a backup waits.
 */
export const loopPatienceMs = 30_000;
