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
  override readonly name: string = "LostConnection";
}

/** A front that had no router to give the request to: nothing of it was begun, and anybody may send it again. */
export class NotTaken extends LostConnection {
  override readonly name = "NotTaken";
}

/** A front whose router was lost in the middle of the request. Without a key it is an error like the router's. */
export class FrontLost extends LostConnection {
  override readonly name = "FrontLost";
  readonly refusal: Refusal;
  constructor(refusal: Refusal, message: string) {
    super(message);
    this.refusal = refusal;
  }
}
