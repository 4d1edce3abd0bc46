import { Agent, request } from "node:https";
import { z } from "zod";
import { Tokens, tokenCommand } from "./token.ts";

/** How a cluster's API is reached. Holds no secret. */
export const apiAccess = z.strictObject({
  /** Name of the cluster, for messages. */
  cluster: z.string().min(1),
  /** URL of the API. */
  endpoint: z.string().min(1),
  /** PEM in base64, as EKS gives it. */
  certificateAuthority: z.string().min(1),
  token: tokenCommand,
});
export type ApiAccess = z.infer<typeof apiAccess>;

/** The API answered, and not with what was asked for. */
export class ApiRefusal extends Error {
  override readonly name = "ApiRefusal";
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** What to list. */
export interface Listing {
  /** `v1`, `karpenter.sh/v1`. */
  readonly apiVersion: string;
  /** `NodeClaim`. */
  readonly kind: string;
  /** Of one namespace; every one when left out, and for what has none. */
  readonly namespace?: string;
  /** Kubernetes label selector. */
  readonly labelSelector?: string;
}

const resourceList = z.object({
  resources: z.array(z.object({ name: z.string(), kind: z.string(), namespaced: z.boolean() })),
});
const objectList = z.object({
  metadata: z.object({ continue: z.string().optional() }).optional(),
  items: z.array(
    z.object({ metadata: z.object({ name: z.string(), namespace: z.string().optional() }) }),
  ),
});

/** One request. A cluster that is upgraded answers late. */
const REQUEST_MS = 10_000;
const PAGE = "500";
/** Metadata alone; a server that cannot do it sends whole objects. */
const METADATA =
  "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1, application/json";

/** The little of a Kubernetes API that waiting needs. */
export class KubeApi {
  readonly #access: ApiAccess;
  readonly #ca: Buffer;
  readonly #tokens: Tokens;

  constructor(access: ApiAccess) {
    this.#access = access;
    this.#ca = Buffer.from(access.certificateAuthority, "base64");
    this.#tokens = new Tokens(access.token);
  }

  /** Names of what is there, `namespace/name`; none where the API does not know the kind at all. */
  async names(what: Listing, signal: AbortSignal): Promise<string[]> {
    const { apiVersion, kind, namespace, labelSelector } = what;
    const base = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
    const known = await this.#get(base, {}, signal);
    if (known === null) return [];
    const found = resourceList
      .parse(known)
      .resources.find((r) => r.kind === kind && !r.name.includes("/"));
    if (!found) return [];
    const inside = found.namespaced && namespace ? `/namespaces/${namespace}` : "";
    const names: string[] = [];
    let next: string | undefined;
    do {
      const query = {
        limit: PAGE,
        ...(labelSelector ? { labelSelector } : {}),
        ...(next ? { continue: next } : {}),
      };
      const page = await this.#get(`${base}${inside}/${found.name}`, query, signal);
      // Its definition went between the two questions.
      if (page === null) return [];
      const { items, metadata } = objectList.parse(page);
      for (const { metadata: own } of items) {
        names.push(own.namespace ? `${own.namespace}/${own.name}` : own.name);
      }
      next = metadata?.continue || undefined;
    } while (next);
    return names.sort();
  }

  /** Null: 404. A refused token is replaced once. */
  async #get(
    path: string,
    query: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<unknown> {
    const url = new URL(path, this.#access.endpoint);
    url.search = new URLSearchParams(query).toString();
    let answer = await this.#ask(url, await this.#tokens.get(signal), signal);
    if (answer.status === 401) {
      answer = await this.#ask(url, await this.#tokens.get(signal, true), signal);
    }
    if (answer.status === 404) return null;
    if (answer.status !== 200) {
      throw new ApiRefusal(answer.status, `${url.pathname} answered ${answer.status}`);
    }
    return JSON.parse(answer.body);
  }

  #ask(url: URL, token: string, signal: AbortSignal): Promise<{ status: number; body: string }> {
    return new Promise((resolve, reject) => {
      const limit = AbortSignal.any([signal, AbortSignal.timeout(REQUEST_MS)]);
      const call = request(
        url,
        {
          ca: this.#ca,
          // Through HTTPS_PROXY where it is set, as Pulumi's own provider and `fleet tunnel` do. A socket
          // kept open between questions would only hide that the API is gone.
          agent: new Agent({ keepAlive: false, proxyEnv: process.env }),
          headers: { accept: METADATA, authorization: `Bearer ${token}` },
          signal: limit,
        },
        (response) => {
          let body = "";
          response.setEncoding("utf8");
          response.on("data", (part: string) => {
            body += part;
          });
          response.on("end", () => resolve({ status: response.statusCode ?? 0, body }));
          response.on("error", reject);
        },
      );
      call.on("error", (error) => {
        const late = limit.aborted && !signal.aborted;
        reject(late ? new Error(`no answer in ${REQUEST_MS / 1000} s`) : error);
      });
      call.end();
    });
  }
}
