import { expect, test } from "vitest";
import { ERRORS, HEADER } from "../../gateway/contract.ts";
import { PATTERNS, resolveTarget } from "../../gateway/router/routes.ts";
import { page, tableRows } from "./pages.ts";

const api = page("docs/api.md");

test("every error code is told with its status and whether a retry can help", () => {
  const told = tableRows(api, "code").map(([code, status, retryable]) => [
    code,
    Number(status),
    retryable === "yes",
  ]);
  const real = Object.entries(ERRORS).map(([code, e]) => [code, e.status, e.retryable]);
  expect(told.sort()).toEqual(real.sort());
});

test("every error code has an anchor of its name, and says what to do", () => {
  for (const code of Object.keys(ERRORS)) expect(api.text).toContain(`<a id="${code}"></a>`);
  for (const row of tableRows(api, "code")) expect(row[3]).toMatch(/\w{3,}/);
});

test("the routes are the router's", () => {
  const told = tableRows(api, "route").map(([route]) => route);
  // One model of the list, told in the row of the list; `other` is what has no route.
  const real = PATTERNS.filter((pattern) => pattern !== "other" && pattern !== "/v1/models/*");
  expect(told.sort()).toEqual([...real].sort());
});

test("a route has the methods that are told", () => {
  for (const [route = "", methods = ""] of tableRows(api, "route")) {
    if (methods === "any") continue;
    const allowed = (method: string) => {
      try {
        return resolveTarget(route, method, route === "/") !== null;
      } catch {
        return false;
      }
    };
    const real = ["GET", "POST", "PUT", "DELETE"].filter(allowed);
    expect([route, real.join(", ")]).toEqual([route, methods]);
  }
});

test("the headers that people meet are the contract's", () => {
  const { incarnation: _i, peerToken: _p, hop: _h, ...public_ } = HEADER;
  const told = tableRows(api, "header").map(([header]) => header);
  expect(told.sort()).toEqual(Object.values(public_).sort());
});
