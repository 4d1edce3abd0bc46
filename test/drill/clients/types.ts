/** Where the load goes, and as whom. */
export interface Target {
  /** `http://host:port`, without a path. */
  endpoint: string;
  token: string;
  adminToken: string;
}

/** One turn to be sent. */
export interface Call {
  agent: string;
  session: string;
  message: string;
  /** `Idempotency-Key`; null where the route has none. */
  key: string | null;
  /** Text by which the answer is recognised. */
  marker: string;
  signal: AbortSignal;
}

export interface Answer {
  reply: string;
  shard: string | null;
  epoch: number | null;
  node: string | null;
}

/** The fleet said no, in its own words. */
export class Refusal extends Error {
  override readonly name = "Refusal";
  readonly code: string;
  readonly status: number | null;
  constructor(code: string, status: number | null, message: string) {
    super(message);
    this.code = code;
    this.status = status;
  }
}

/** The connection ended before the answer did. With a key the same request may be sent again. */
export class LostConnection extends Error {
  override readonly name = "LostConnection";
}
