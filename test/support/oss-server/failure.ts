/** An answer that OSS gives as an error: its code, HTTP status and message, and the elements that some errors add. */
export class OssFailure extends Error {
  readonly status: number;
  readonly code: string;
  readonly elements: Record<string, string>;
  readonly headers: Record<string, string>;

  constructor(
    status: number,
    code: string,
    message: string,
    more: { ec?: string; elements?: Record<string, string>; headers?: Record<string, string> } = {},
  ) {
    super(message);
    this.status = status;
    this.code = code;
    this.elements = { ...more.elements, ...(more.ec === undefined ? {} : { EC: more.ec }) };
    this.headers = more.headers ?? {};
  }
}

export const noSuchKey = (key: string, headers: Record<string, string> = {}) =>
  new OssFailure(404, 'NoSuchKey', 'The specified key does not exist.', { elements: { Key: key }, headers });

export const invalidArgument = (message: string, ec?: string) =>
  new OssFailure(400, 'InvalidArgument', message, ec === undefined ? {} : { ec });

export const accessDenied = (message: string, elements: Record<string, string> = {}) =>
  new OssFailure(403, 'AccessDenied', message, { elements });
