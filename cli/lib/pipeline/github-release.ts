import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { CommandFailed } from "../errors.ts";
import { callGitHub, type GitHub } from "./github.ts";

interface Release {
  readonly id: number;
  readonly html_url: string;
  /** A template of a URL on another host. */
  readonly upload_url: string;
  readonly draft: boolean;
}

/**
 * A release with its files; a draft until all are there, so that nobody gets half of one. A draft that
 * a run cut short has left is made anew; a release that is out is never changed.
 */
export async function publish(
  hub: GitHub,
  { tag, notes, files }: { tag: string; notes: string; files: readonly string[] },
): Promise<string> {
  const path = `/repos/${hub.repository}/releases`;
  const all = await callGitHub<(Release & { tag_name: string })[]>(
    hub,
    "GET",
    `${path}?per_page=100`,
  );
  const before = all.filter(({ tag_name }) => tag_name === tag);
  const out = before.find(({ draft }) => !draft);
  if (out) {
    throw new CommandFailed(`${tag} is released already`, out.html_url, "make a new version");
  }
  for (const { id } of before) await callGitHub(hub, "DELETE", `${path}/${id}`);
  const made = await callGitHub<Release>(hub, "POST", path, {
    tag_name: tag,
    name: tag,
    body: notes,
    draft: true,
    prerelease: tag.includes("-"),
  });
  for (const file of files) await upload(hub, made, file);
  const done = await callGitHub<Release>(hub, "PATCH", `${path}/${made.id}`, { draft: false });
  return done.html_url;
}

async function upload(hub: GitHub, { upload_url }: Release, file: string): Promise<void> {
  const url = `${upload_url.replace(/\{.*\}$/, "")}?name=${encodeURIComponent(basename(file))}`;
  const response = await fetch(url, {
    method: "POST",
    headers: {
      accept: "application/vnd.github+json",
      authorization: `Bearer ${hub.token}`,
      "content-type": "application/octet-stream",
      "user-agent": "openclaw-fleet",
    },
    body: readFileSync(file),
  });
  if (response.ok) return;
  throw new CommandFailed(
    `GitHub did not take ${basename(file)}`,
    `it answered ${response.status}`,
    "run it again: the release is a draft until everything is there",
  );
}
