import { expect, test } from "vitest";
import { votersOf } from "../../../gateway/supervisor/voters.ts";

const node = (address: string, state: "active" | "lost" = "active") => ({ address, state });
const members = ["https://192.0.2.1:2379", "https://[2001:db8::2]:2379", "https://c.example:2379"];

test("nobody votes in a file", () => {
  expect(votersOf(undefined, [node("127.0.0.1:1", "lost")])).toBeUndefined();
});

test("a member is lost with its node, whatever kind of address names both", () => {
  const lost = (address: string) => votersOf(members, [node(address, "lost")]);
  expect(votersOf(members, [node("192.0.2.1:7000")])).toEqual({ total: 3, lost: 0 });
  expect(lost("192.0.2.1:7000")).toEqual({ total: 3, lost: 1 });
  expect(lost("[2001:db8::2]:7000")).toEqual({ total: 3, lost: 1 });
  expect(lost("c.example:7000")).toEqual({ total: 3, lost: 1 });
});

test("a lost node without a member takes no vote with it, nor one that never said where it is", () => {
  const nodes = [node("192.0.2.9:7000", "lost"), node("", "lost")];
  expect(votersOf(members, nodes)).toEqual({ total: 3, lost: 0 });
});
