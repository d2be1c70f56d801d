import type { IncomingHttpHeaders } from 'node:http';
import { hasCode } from '../../core/errors.ts';
import type { Call } from '../bucket/bucket.ts';
import { type Caller, discard } from './caller.ts';
import { type Asked, refusalOf } from './errors.ts';
import type { Exchange } from './transport.ts';

/** What OSS says of an object; undefined: there is none. A bucket that is gone is not an object that is missing. */
export async function headersOf(caller: Caller, key: string, call: Call): Promise<IncomingHttpHeaders | undefined> {
  const exchange = caller.exchange(call);
  try {
    return (await caller.call(seeing(key), call, (client) => client.head(key), undefined, exchange)).res.headers;
  } catch (error) {
    if (hasCode(error, 'object-missing')) return undefined;
    if (!isMute(exchange)) throw error;
  }
  try {
    const { stream, res } = await caller.call(seeing(key), call, (client) => client.getStream(key, {}));
    discard({ stream });
    return res.headers;
  } catch (error) {
    if (hasCode(error, 'object-missing')) return undefined;
    throw error;
  }
}

/** An answer to HEAD has no body, and not every way to OSS passes the header that stands in for it: GET says why. */
function isMute({ answer }: Exchange): boolean {
  return answer !== undefined && answer.status >= 400 && answer.status < 500 && refusalOf(answer)?.code === '';
}

function seeing(key: string): Asked {
  return { action: 'oss:GetObject', doing: `see '${key}'`, key };
}
