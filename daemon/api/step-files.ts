// Files for and from running attempts: the trees that a step's inputs name go to its node, and what a fetch brings
// is taken.
import { createHash } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { fetchLimitBytes } from "../../proto/files/limits.ts";
import type {
  GetFileRequest,
  GetTreeRequest,
  PutFetchedRequest,
} from "../../proto/gen/muster/v1/agent_pb.ts";
import type { PlannedStep } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { FetchedFileSchema, type Tree } from "../../proto/gen/muster/v1/files_pb.ts";
import { codes, RpcError } from "../../proto/rpc/status.ts";
import { planIndex } from "../domain/plan-index.ts";
import { isActive } from "../domain/step-book.ts";
import type { ApiContext } from "./context.ts";
import { answering, answeringAll } from "./file-errors.ts";

const treeDenied = { reason: "TREE_DENIED" };
const fetchDenied = { reason: "FETCH_DENIED" };

export type StepFilesContext = Pick<ApiContext, "engine" | "clock"> & {
  files: Pick<ApiContext["files"], "tree" | "isInTree" | "read" | "receive" | "finish">;
  fetched: Pick<ApiContext["fetched"], "get" | "keep">;
};

export async function handOutTree(
  context: StepFilesContext,
  node: string,
  { token, digest }: GetTreeRequest,
): Promise<{ tree: Tree }> {
  needingTree(context, node, token, digest);
  return { tree: await answering(context.files.tree(digest)) };
}

export async function* handOutFile(
  context: StepFilesContext,
  node: string,
  { token, tree, digest, offset }: GetFileRequest,
): AsyncGenerator<{ content: Uint8Array }> {
  needingTree(context, node, token, tree);
  if (!(await answering(context.files.isInTree(tree, digest)))) {
    throw denied(treeDenied, `the tree ${tree} has no file ${digest}`);
  }
  for await (const content of answeringAll(context.files.read(digest, Number(offset)))) yield { content };
}

export async function takeFetched(
  context: StepFilesContext,
  node: string,
  { token, offset, content, digest }: PutFetchedRequest,
): Promise<Record<string, never>> {
  const { files, fetched, clock } = context;
  const { step, planned } = runningStep(context, node, token, fetchDenied);
  const action = planned?.action?.kind;
  if (action?.case !== "fetch") throw denied(fetchDenied, `the plan of ${step} fetches nothing`);
  const { path, limit } = action.value;
  const name = `${node}${path}`;
  const known = fetched.get(name);
  // The answer to the last piece may have been lost.
  if (digest && known?.digest === digest && known.step === step) return {};
  const piece = { name: `fetch-${createHash("sha256").update(token).digest("hex")}`, offset, content };
  await answering(files.receive(piece, fetchLimitBytes(limit)));
  if (!digest) return {};
  const sizeBytes = BigInt(await answering(files.finish(piece.name, digest)));
  const time = timestampFromMs(clock());
  await fetched.keep(create(FetchedFileSchema, { name, node, path, sizeBytes, digest, time, step }));
  return {};
}

function needingTree(context: StepFilesContext, node: string, token: string, tree: string): void {
  const { step, planned } = runningStep(context, node, token, treeDenied);
  if (Object.values(planned?.inputs?.sources ?? {}).includes(tree)) return;
  throw denied(treeDenied, `the plan of ${step} names no tree ${tree}`);
}

/** The step of an attempt that runs on the calling node, as it was planned. */
function runningStep(
  { engine: { state } }: StepFilesContext,
  node: string,
  token: string,
  why: typeof treeDenied,
): { step: string; planned: PlannedStep | undefined } {
  const step = state.step(token.slice(0, token.lastIndexOf("/")));
  if (!step || step.node !== node || step.token !== token || !isActive(step)) {
    throw denied(
      why,
      `no attempt ${token} runs on ${node}: files are for running attempts of the node itself`,
    );
  }
  const { steps } = planIndex(state.deployments.get(step.deployment)?.plan);
  return { step: step.name, planned: steps.get(`${step.node}/${step.task}`) };
}

function denied(why: typeof treeDenied, message: string): RpcError {
  return new RpcError(codes.PERMISSION_DENIED, message, why);
}
