import { z } from "zod";

/**
 * `owner/name`, or with GitHub's numbers `owner@1/name@2`: repositories made, renamed or opted in since
 * July 2026 have them in the subject of their tokens, so that nobody can take over a name that became
 * free. Source: docs.github.com/actions, OpenID Connect reference, checked 2026-11-21.
 */
const REPOSITORY = /^[A-Za-z0-9][A-Za-z0-9-]*(@\d+)?\/[A-Za-z0-9._-]+(@\d+)?$/;

export const isRepository = (given: string): boolean =>
  REPOSITORY.test(given) && given.split("@").length % 2 === 1;

/** What a bootstrap is made of; kept in Pulumi.<stack>.yaml of its own project. */
export const bootstrapSettings = z.strictObject({
  accountId: z.string().regex(/^\d{12}$/, "twelve digits"),
  region: z.string().regex(/^[a-z]{2}(-[a-z]+)+-\d$/, "a region, e.g. eu-central-1"),
  /** Whose workflows may deploy; empty: no roles for CI are made. */
  repositories: z.array(z.string().refine(isRepository, "owner/name")).default([]),
  /** Branch whose workflows may deploy, where no environments are named. */
  branch: z
    .string()
    .regex(/^[^\s*?]+$/, "one branch, without wildcards")
    .default("main"),
  /** GitHub environments whose jobs may deploy, instead of a branch's. */
  environments: z.array(z.string().regex(/^[^\s*?:]+$/, "a name, without wildcards")).default([]),
  /** The account has GitHub's identity provider already: it is used, not made. */
  existingGithubProvider: z.boolean().default(false),
});

export type BootstrapSettings = z.output<typeof bootstrapSettings>;

/** Subjects of tokens that may take on the deploy role, and those that may take on the preview role. */
export function subjectsOf({
  repositories,
  branch,
  environments,
}: Pick<BootstrapSettings, "repositories" | "branch" | "environments">) {
  const subjects = (suffixes: readonly string[]) =>
    repositories.flatMap((repository) => suffixes.map((suffix) => `repo:${repository}:${suffix}`));
  return {
    deploy: subjects(
      environments.length > 0
        ? environments.map((name) => `environment:${name}`)
        : [`ref:refs/heads/${branch}`],
    ),
    // A pull request's workflow is its author's own: it may look, and nothing else. The branch's own
    // jobs that only look (the nightly search for drift) need no more.
    preview: subjects(["pull_request", `ref:refs/heads/${branch}`]),
  };
}
