import { CommanderError } from "commander";
import { expect, test } from "vitest";
import { codes, RpcError } from "../proto/rpc/status.ts";
import { exitCodeOf, NoDaemonError, RefusedError } from "./errors.ts";
import { decodeRecipe } from "./recipe.ts";
import { repairImage, verifyImage } from "./store.ts";

const failure = async (call: () => unknown) => {
  try {
    await call();
  } catch (error) {
    return error;
  }
  throw new Error("nothing was refused");
};

test.each([
  ["a help", new CommanderError(0, "commander.help", "help"), 0],
  ["a wrong option", new CommanderError(1, "commander.unknownOption", "unknown"), 2],
  ["bad input", new RefusedError("no"), 2],
  ["an image that is not there", new RpcError(codes.NOT_FOUND, "there is no image x"), 2],
  ["a daemon that is not there", new NoDaemonError("away"), 3],
  ["anything else", new Error("disk full"), 1],
])("%s ends with its exit code", (_, error, code) => {
  expect(exitCodeOf(error)).toBe(code);
});

test("a bad recipe is bad input", async () => {
  expect(exitCodeOf(await failure(() => decodeRecipe("r.yaml", "kind: Recipe\nsuit: x\n")))).toBe(2);
});

test("without a daemon the image store cannot be asked", async () => {
  expect(exitCodeOf(await failure(() => verifyImage("/nowhere", "debian-12", () => {})))).toBe(3);
});

test("an image is not repaired from a directory without one", async () => {
  const error = await failure(() => repairImage("/nowhere", "debian-12", "/nowhere/image", () => {}));
  expect(String(error)).toContain("/nowhere/image has neither manifest.binpb nor manifests");
  expect(exitCodeOf(error)).toBe(2);
});
