import { CommandFailed } from "../errors.ts";

/** Where and as whom GitHub is spoken to. Actions set all of it (`GITHUB_*`). */
export interface GitHub {
  /** `https://api.github.com`, or that of an own server. */
  readonly api: string;
  /** `owner/name`. */
  readonly repository: string;
  /** Sent as a header, never shown. */
  readonly token: string;
}

/** A comment or issue as GitHub answers it. */
interface Item {
  readonly id: number;
  readonly number?: number;
  readonly body?: string | null;
  readonly html_url: string;
  readonly user?: { readonly login: string; readonly type?: string } | null;
  readonly pull_request?: unknown;
}

/** Longest wait for one answer. */
const ANSWER_MS = 30_000;
const PAGE = 100;
/** Pages that are looked through: more comments than any pull request has. */
const PAGES_MAX = 50;

/** @throws CommandFailed that names the variable which is missing. */
export function gitHubFrom(env: NodeJS.ProcessEnv): GitHub {
  const { GITHUB_TOKEN: token, GITHUB_REPOSITORY: repository } = env;
  if (!token) {
    throw new CommandFailed(
      "GitHub cannot be spoken to",
      "GITHUB_TOKEN is not set",
      "in a workflow set it to github.token in the step's env, and give the job the permission",
    );
  }
  if (!repository || !/^[\w.-]+\/[\w.-]+$/.test(repository)) {
    throw new CommandFailed(
      "GitHub cannot be spoken to",
      `GITHUB_REPOSITORY is ${repository ? JSON.stringify(repository) : "not set"}`,
      "export GITHUB_REPOSITORY=owner/name",
    );
  }
  return { api: env.GITHUB_API_URL || "https://api.github.com", repository, token };
}

/** By this a text is found again; people do not see it. */
export const markOf = (name: string): string => `<!-- openclaw-fleet: ${name} -->`;

/** What became of a wish. */
export interface Done {
  readonly did: "made" | "updated" | "closed" | "left";
  readonly url: string;
}

/**
 * One comment on a pull request or issue: changed where it is there, made where not. Only one's own
 * comment is changed, so that nobody is put words into the mouth by copying the mark.
 */
export async function putComment(
  hub: GitHub,
  { number, mark, text }: { number: number; mark: string; text: string },
): Promise<Done> {
  const body = `${markOf(mark)}\n${text}`;
  const path = `/repos/${hub.repository}/issues/${number}/comments`;
  const own = await mineOf(hub);
  const mine = await find(hub, path, (item) => begins(item, mark) && own(item));
  if (mine?.body === body) return { did: "left", url: mine.html_url };
  if (mine) {
    const changed = await callGitHub<Item>(
      hub,
      "PATCH",
      `/repos/${hub.repository}/issues/comments/${mine.id}`,
      { body },
    );
    return { did: "updated", url: changed.html_url };
  }
  const made = await callGitHub<Item>(hub, "POST", path, { body });
  return { did: "made", url: made.html_url };
}

/** One open issue for one thing that is wrong: made, changed while it lasts, closed when `text` is null. */
export async function putIssue(
  hub: GitHub,
  { title, mark, text }: { title: string; mark: string; text: string | null },
): Promise<Done | null> {
  const path = `/repos/${hub.repository}/issues`;
  const own = await mineOf(hub);
  const open = await find(
    hub,
    `${path}?state=open`,
    (item) => begins(item, mark) && own(item) && item.pull_request === undefined,
  );
  if (text === null) {
    if (!open) return null;
    const url = `${path}/${open.number}`;
    await callGitHub(hub, "POST", `${url}/comments`, { body: "This is no longer so." });
    await callGitHub(hub, "PATCH", url, { state: "closed", state_reason: "completed" });
    return { did: "closed", url: open.html_url };
  }
  const body = `${markOf(mark)}\n${text}`;
  if (open?.body === body) return { did: "left", url: open.html_url };
  const made = open
    ? await callGitHub<Item>(hub, "PATCH", `${path}/${open.number}`, { title, body })
    : await callGitHub<Item>(hub, "POST", path, { title, body });
  return { did: open ? "updated" : "made", url: made.html_url };
}

const begins = ({ body }: Item, mark: string): boolean => (body ?? "").startsWith(markOf(mark));

/** Whether an item is one's own. The token of a workflow may not ask who it is, and writes as a bot. */
async function mineOf(hub: GitHub): Promise<(item: Item) => boolean> {
  try {
    const { login } = await callGitHub<{ login: string }>(hub, "GET", "/user");
    return ({ user }) => user?.login === login;
  } catch (error) {
    if (!(error instanceof CommandFailed) || !/answered (403|404)/.test(error.why ?? ""))
      throw error;
    return ({ user }) => user?.type === "Bot";
  }
}

async function find(
  hub: GitHub,
  path: string,
  is: (item: Item) => boolean,
): Promise<Item | undefined> {
  for (let page = 1; page <= PAGES_MAX; page++) {
    const query = `${path.includes("?") ? "&" : "?"}per_page=${PAGE}&page=${page}`;
    const items = await callGitHub<Item[]>(hub, "GET", `${path}${query}`);
    const found = items.find(is);
    if (found || items.length < PAGE) return found;
  }
  return undefined;
}

/** One call of the REST API. @throws CommandFailed with what GitHub said */
export async function callGitHub<T>(
  hub: GitHub,
  method: string,
  path: string,
  body?: object,
): Promise<T> {
  const what = `${method} ${path.replace(/\?.*/, "")}`;
  let response: Response;
  try {
    response = await fetch(`${hub.api}${path}`, {
      method,
      headers: {
        accept: "application/vnd.github+json",
        authorization: `Bearer ${hub.token}`,
        "content-type": "application/json",
        "user-agent": "openclaw-fleet",
        "x-github-api-version": "2022-11-28",
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(ANSWER_MS),
    });
  } catch (error) {
    const { message, cause } = error as Error & { cause?: { code?: string } };
    throw new CommandFailed(
      `GitHub did not answer ${what}`,
      cause?.code ?? message,
      "run it again",
    );
  }
  const text = await response.text();
  if (response.ok) return (text === "" ? null : JSON.parse(text)) as T;
  throw refused(what, response, text);
}

function refused(what: string, response: Response, text: string): CommandFailed {
  const said = messageOf(text);
  const why = `it answered ${response.status}${said ? `: ${said}` : ""}`;
  if (response.status === 401) {
    return new CommandFailed(`GitHub refused ${what}`, why, "GITHUB_TOKEN is wrong or has ended");
  }
  if (response.headers.get("x-ratelimit-remaining") === "0" || response.status === 429) {
    const after = response.headers.get("retry-after");
    const when = after ? `in ${after} s` : "within an hour";
    return new CommandFailed(
      `GitHub takes no more calls now (${what})`,
      why,
      `run it again ${when}`,
    );
  }
  if (response.status === 403 || response.status === 404) {
    return new CommandFailed(
      `GitHub refused ${what}`,
      why,
      "the job needs permissions: pull-requests: write for comments, issues: write for issues; a pull request from a fork never has them",
    );
  }
  return new CommandFailed(`GitHub refused ${what}`, why);
}

function messageOf(text: string): string {
  try {
    const { message, errors } = JSON.parse(text) as {
      message?: string;
      errors?: readonly ({ message?: string } | string)[];
    };
    const more = (errors ?? []).map((one) => (typeof one === "string" ? one : one.message));
    return [message, ...more].filter(Boolean).join("; ");
  } catch {
    return "";
  }
}
