import { expect, test } from "vitest";
import type { FleetConfig } from "../../../gateway/config.ts";
import { SettingsFollower } from "../../../gateway/node/settings-follower.ts";

/** A follower of settings without shards, whose `prepare` tests hold back or break. */
function follower(prepare: () => Promise<void>) {
  let revision = "one";
  const nothing = () => undefined;
  const settings = new SettingsFollower({
    config: () => ({ shards: [], agents: [], channelBinding: {} }) as unknown as FleetConfig,
    revision: () => revision,
    prepare,
    host: { configure: nothing, reports: () => [] } as never,
    view: { configured: nothing } as never,
    supervisor: { configure: nothing } as never,
    gateways: {} as never,
    channels: {} as never,
    log: { error: nothing } as never,
    remember: nothing,
    onChange: nothing,
  });
  return {
    settings,
    change: (to: string) => {
      revision = to;
    },
  };
}

test("settings count as followed when everything was brought to them, and as those it began with", async () => {
  const gate = Promise.withResolvers<void>();
  const { settings, change } = follower(() => gate.promise);
  expect(settings.followed).toBeNull();
  const done = settings.follow();
  await Promise.resolve();
  change("two");
  expect(settings.followed).toBeNull();
  gate.resolve();
  await done;
  expect(settings.followed).toBe("one");
  await settings.follow();
  expect(settings.followed).toBe("two");
});

test("settings that could not be followed leave those before", async () => {
  let broken = false;
  const { settings, change } = follower(async () => {
    if (broken) throw new Error("the port is taken");
  });
  await settings.follow();
  change("two");
  broken = true;
  await settings.follow();
  expect(settings.followed).toBe("one");
});
