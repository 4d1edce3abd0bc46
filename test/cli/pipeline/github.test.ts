import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type GitHub, gitHubFrom, putComment, putIssue } from "../../../cli/lib/pipeline/github.ts";
import { COMMENT_MAX, fitted } from "../../../cli/lib/pipeline/markdown.ts";

interface Kept {
  id: number;
  number: number;
  title?: string;
  body: string;
  state: string;
  user: { login: string; type: string };
  pull_request?: object;
  on?: number;
}

/** As much of GitHub as the commands use. It refuses what GitHub refuses. */
class Hub {
  readonly issues: Kept[] = [];
  readonly comments: Kept[] = [];
  readonly calls: string[] = [];
  /** Of the token: what its job may write, and as whom. */
  may = { comments: true, issues: true };
  user = { login: "github-actions[bot]", type: "Bot" };
  limited = false;
  #server: Server | undefined;
  #ids = 0;

  async start(): Promise<GitHub> {
    this.#server = createServer((request, response) => {
      this.answer(request).then(([status, body]) => {
        response.writeHead(status, {
          "content-type": "application/json",
          ...(this.limited ? { "x-ratelimit-remaining": "0", "retry-after": "60" } : {}),
        });
        response.end(JSON.stringify(body));
      });
    });
    await new Promise<void>((done) => this.#server?.listen(0, "127.0.0.1", done));
    const { port } = this.#server.address() as AddressInfo;
    return { api: `http://127.0.0.1:${port}`, repository: "ann/fleet", token: "ghs_right" };
  }

  stop = () => this.#server?.close();

  comment(on: number, body: string, user = this.user): void {
    this.comments.push({ id: ++this.#ids, number: 0, on, body, state: "", user });
  }

  async answer(request: IncomingMessage): Promise<[number, unknown]> {
    const { method = "", headers } = request;
    const url = new URL(request.url ?? "", "http://hub");
    let text = "";
    for await (const part of request) text += part;
    this.calls.push(`${method} ${url.pathname}`);
    if (headers.authorization !== "Bearer ghs_right") return [401, { message: "Bad credentials" }];
    if (this.limited) return [403, { message: "API rate limit exceeded" }];
    if (!headers["user-agent"]) return [403, { message: "no user agent" }];
    const denied: [number, unknown] = [403, { message: "Resource not accessible by integration" }];
    if (url.pathname === "/user") {
      return this.user.type === "Bot" ? denied : [200, { login: this.user.login }];
    }
    const path = url.pathname.replace("/repos/ann/fleet", "");
    if (path === url.pathname) return [404, { message: "Not Found" }];
    const body = text === "" ? {} : (JSON.parse(text) as Partial<Kept>);
    if ((body.body?.length ?? 0) > COMMENT_MAX) {
      return [422, { message: "Validation Failed", errors: [{ message: "body is too long" }] }];
    }
    const page = <T>(all: T[]): [number, T[]] => {
      const size = Math.min(100, Number(url.searchParams.get("per_page") ?? 30));
      const at = (Number(url.searchParams.get("page") ?? 1) - 1) * size;
      return [200, all.slice(at, at + size)];
    };
    const shown = (item: Kept) => ({ ...item, html_url: `https://hub/${item.id}` });
    const ofIssue = /^\/issues\/(\d+)\/comments$/.exec(path);
    if (ofIssue) {
      const on = Number(ofIssue[1]);
      if (method === "GET") return page(this.comments.filter((one) => one.on === on).map(shown));
      if (!this.may.comments) return denied;
      this.comment(on, body.body ?? "");
      return [201, shown(this.comments.at(-1) as Kept)];
    }
    const one = /^\/issues\/comments\/(\d+)$/.exec(path);
    if (one && method === "PATCH") {
      if (!this.may.comments) return denied;
      const kept = this.comments.find(({ id }) => id === Number(one[1])) as Kept;
      if (kept.user.login !== this.user.login) return denied;
      Object.assign(kept, body);
      return [200, shown(kept)];
    }
    if (path === "/issues" && method === "GET") {
      const state = url.searchParams.get("state") ?? "open";
      return page(this.issues.filter((each) => each.state === state).map(shown));
    }
    if (!this.may.issues) return denied;
    if (path === "/issues") {
      const id = ++this.#ids;
      this.issues.push({ id, number: id, state: "open", user: this.user, body: "", ...body });
      return [201, shown(this.issues.at(-1) as Kept)];
    }
    const issue = this.issues.find(({ number }) => path === `/issues/${number}`);
    if (!issue) return [404, { message: "Not Found" }];
    Object.assign(issue, body);
    return [200, shown(issue)];
  }
}

let hub: Hub;
let access: GitHub;
beforeEach(async () => {
  hub = new Hub();
  access = await hub.start();
});
afterEach(() => hub.stop());

const put = (text: string, mark = "preview") => putComment(access, { number: 7, mark, text });
const bodies = () => hub.comments.map(({ body }) => body);

describe("the comment", () => {
  test("is made once, changed after that, and left alone when it says the same", async () => {
    expect((await put("one")).did).toBe("made");
    expect((await put("two")).did).toBe("updated");
    expect((await put("two")).did).toBe("left");
    expect(bodies()).toEqual(["<!-- openclaw-fleet: preview -->\ntwo"]);
    expect(hub.calls.filter((call) => /^(POST|PATCH)/.test(call))).toHaveLength(2);
  });

  test("is found behind more comments than a page holds", async () => {
    for (let i = 0; i < 130; i++) hub.comment(7, `talk ${i}`);
    await put("one");
    await put("two");
    expect(bodies().filter((body) => body.includes("preview"))).toHaveLength(1);
  });

  test("of another mark, another person or another pull request stays as it is", async () => {
    hub.comment(7, "<!-- openclaw-fleet: preview -->\nforged", { login: "eve", type: "User" });
    hub.comment(8, "<!-- openclaw-fleet: preview -->\nother request");
    hub.comment(7, "<!-- openclaw-fleet: drift -->\nother mark");
    expect((await put("mine")).did).toBe("made");
    expect(bodies().slice(0, 3).join()).not.toContain("mine");
  });

  test("of a person's own token is that person's", async () => {
    hub.user = { login: "ann", type: "User" };
    await put("one");
    expect((await put("two")).did).toBe("updated");
  });

  test("that is too long is cut at a line, with what was open closed", async () => {
    const long = `<details>\n${"- a line of the list\n".repeat(9_000)}</details>`;
    await put(fitted(long));
    expect(bodies()[0]?.length).toBeLessThanOrEqual(COMMENT_MAX);
    expect(bodies()[0]).toMatch(/- a line of the list\n<\/details>\n\n… the rest did not fit/);
    await expect(put("x".repeat(COMMENT_MAX))).rejects.toMatchObject({
      why: "it answered 422: Validation Failed; body is too long",
    });
  });
});

describe("the issue", () => {
  const say = (text: string | null) =>
    putIssue(access, { title: "prod has drifted", mark: "drift prod", text });

  test("is one while it lasts, and closed with a word when it is over", async () => {
    expect((await say("a"))?.did).toBe("made");
    expect((await say("b"))?.did).toBe("updated");
    expect((await say(null))?.did).toBe("closed");
    expect(await say(null)).toBeNull();
    expect(hub.issues).toMatchObject([{ state: "closed", title: "prod has drifted" }]);
    expect(bodies()).toEqual(["This is no longer so."]);
    expect((await say("again"))?.did).toBe("made");
  });

  test("is never a pull request, which GitHub lists among issues", async () => {
    await say("a");
    Object.assign(hub.issues[0] as Kept, { pull_request: {} });
    expect((await say("b"))?.did).toBe("made");
  });
});

describe("a refusal says what to do", () => {
  test("no permission", async () => {
    hub.may.comments = false;
    await expect(put("one")).rejects.toMatchObject({
      why: "it answered 403: Resource not accessible by integration",
      advice: expect.stringContaining("pull-requests: write"),
    });
  });

  test("a wrong token, which is not shown", async () => {
    const wrong = { ...access, token: "ghs_wrong" };
    const error = await putComment(wrong, { number: 7, mark: "x", text: "y" }).catch((e) => e);
    expect(error.why).toContain("401: Bad credentials");
    expect(JSON.stringify([error.message, error.why, error.advice])).not.toContain("ghs_wrong");
  });

  test("too many calls", async () => {
    hub.limited = true;
    await expect(put("one")).rejects.toMatchObject({ advice: "run it again in 60 s" });
  });

  test("nobody there", async () => {
    hub.stop();
    await expect(
      putComment({ ...access, api: "http://127.0.0.1:1" }, { number: 7, mark: "x", text: "y" }),
    ).rejects.toMatchObject({ message: expect.stringContaining("GitHub did not answer") });
  });

  test("a variable that is missing", () => {
    expect(() => gitHubFrom({})).toThrow("GitHub cannot be spoken to");
    expect(() => gitHubFrom({ GITHUB_TOKEN: "x", GITHUB_REPOSITORY: "fleet" })).toThrow();
    expect(gitHubFrom({ GITHUB_TOKEN: "x", GITHUB_REPOSITORY: "a/b" }).api).toBe(
      "https://api.github.com",
    );
  });
});
