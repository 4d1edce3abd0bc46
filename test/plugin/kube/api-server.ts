import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { selfSigned } from "../../support/certificate.ts";

const PAIR = selfSigned();

/** An API server as far as discovery and lists go; tests change what it holds. */
export class FakeApiServer {
  /** Tokens that it takes. */
  readonly tokens = new Set(["good"]);
  /** Kinds by group version: `{ "karpenter.sh/v1": { NodeClaim: "nodeclaims" } }`. */
  readonly kinds = new Map<string, Record<string, { plural: string; namespaced: boolean }>>();
  /** `namespace/name` or `name` by plural; with labels. */
  readonly objects = new Map<string, { name: string; labels?: Record<string, string> }[]>();
  /** Paths asked for, with their query. */
  readonly asked: string[] = [];
  /** Answers every request with it. */
  status: number | null = null;
  pageSize = 500;
  /** Called before each list is answered. */
  onList: (plural: string) => void = () => {};
  readonly certificateAuthority = Buffer.from(PAIR.cert).toString("base64");
  readonly #server: Server;

  constructor() {
    this.#server = createServer(PAIR, (request, response) => {
      const send = (status: number, body: unknown) => {
        response.writeHead(status, { connection: "close" }).end(JSON.stringify(body));
      };
      const url = new URL(request.url ?? "/", "https://x");
      this.asked.push(`${url.pathname}${url.search}`);
      const token = request.headers.authorization?.replace("Bearer ", "") ?? "";
      if (!this.tokens.has(token)) return send(401, {});
      if (this.status !== null) return send(this.status, {});
      const match =
        /^\/(?:api|apis)\/((?:[^/]+\/)?v\d\w*)(?:\/(?:namespaces\/([^/]+)\/)?(\w+))?$/.exec(
          url.pathname,
        );
      const kinds = this.kinds.get(match?.[1] ?? "");
      if (!match || !kinds) return send(404, {});
      const [, , namespace, plural] = match;
      if (!plural) {
        const resources = Object.entries(kinds).flatMap(([kind, { plural: name, namespaced }]) => [
          { name, kind, namespaced },
          { name: `${name}/status`, kind, namespaced },
        ]);
        return send(200, { kind: "APIResourceList", resources });
      }
      if (!Object.values(kinds).some((k) => k.plural === plural)) return send(404, {});
      this.onList(plural);
      const [label, value] = url.searchParams.get("labelSelector")?.split("=") ?? [];
      const all = (this.objects.get(plural) ?? [])
        .filter(({ labels }) => label === undefined || labels?.[label] === value)
        .map(({ name }) => name.split("/").reverse())
        .filter(([, own]) => namespace === undefined || own === namespace);
      const from = Number(url.searchParams.get("continue") ?? 0);
      const page = all.slice(from, from + this.pageSize);
      const end = from + this.pageSize;
      send(200, {
        metadata: end < all.length ? { continue: `${end}` } : {},
        items: page.map(([name, own]) => ({ metadata: { name, namespace: own } })),
      });
    });
  }

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return `https://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
