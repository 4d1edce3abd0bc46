/**
 * What of etcd's JSON gateway (its API over HTTP, version 3) is used here. 64-bit numbers travel as strings, keys
 * and values in base64, fields at their default not at all.
 * Source: etcd.io/docs/v3.6/dev-guide/api_grpc_gateway and rpc.proto of the pinned version.
 */
export interface Header {
  cluster_id?: string;
  member_id?: string;
  revision?: string;
  raft_term?: string;
}

export interface KeyValue {
  key: string;
  value?: string;
  mod_revision?: string;
  create_revision?: string;
  /** Writes since the key was created; 1 at first. */
  version?: string;
}

export interface RangeResponse {
  header: Header;
  kvs?: KeyValue[];
}

export interface TxnResponse {
  header: Header;
  succeeded?: boolean;
  responses?: { response_range?: RangeResponse }[];
}

export interface RangeRequest {
  key: string;
  range_end?: string;
  limit?: string;
  sort_order?: "DESCEND";
  sort_target?: "KEY";
}

export type Compare =
  | { key: string; target: "MOD"; result: "EQUAL"; mod_revision: string }
  | { key: string; target: "CREATE"; result: "EQUAL"; create_revision: string }
  | { key: string; target: "VALUE"; result: "EQUAL"; value: string };

export type Operation =
  | { request_range: RangeRequest }
  | { request_put: { key: string; value: string } }
  | { request_delete_range: { key: string; range_end?: string } };

export interface TxnRequest {
  compare: Compare[];
  success: Operation[];
  failure: Operation[];
}

export const encode = (text: string): string => Buffer.from(text).toString("base64");
export const decode = (text: string | undefined): string =>
  Buffer.from(text ?? "", "base64").toString();

/** All keys that begin with `prefix`, which ends with a character below 0xff. */
export function under(prefix: string): { key: string; range_end: string } {
  const end = Buffer.from(prefix);
  end[end.length - 1] = (end.at(-1) as number) + 1;
  return { key: encode(prefix), range_end: end.toString("base64") };
}

export const put = (key: string, value: unknown): Operation => ({
  request_put: { key: encode(key), value: encode(JSON.stringify(value)) },
});

/** The key stands as it was last written at that revision; 0: there is none. */
export const unchanged = (key: string, modRevision: string): Compare => ({
  key: encode(key),
  target: "MOD",
  result: "EQUAL",
  mod_revision: modRevision,
});
