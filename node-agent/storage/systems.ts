// The operating systems of a plan, each as a plan of its own, for what works on one at a time.
import type { DiskPlan } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import type { SystemImage } from "../../proto/gen/muster/v1/step_pb.ts";

/** `plan` is the same for all but for `rootDevice` and `kernelRoot`, which are its own. */
export type OwnSystem = { plan: DiskPlan; image: SystemImage };

/** The one that starts by itself first. Throws where the step does not say what one of them comes from. */
export function ownSystems(plan: DiskPlan, images: readonly SystemImage[]): OwnSystem[] {
  const { rootDevice, kernelRoot, systems } = plan;
  const places = systems.length > 0 ? systems : [{ os: "", rootDevice, kernelRoot }];
  return places.map(({ os, rootDevice, kernelRoot }) => {
    const image = images.find((one) => one.os === os);
    if (image) return { plan: { ...plan, rootDevice, kernelRoot }, image };
    const which = os ? `the operating system ${os}` : "/";
    throw new Error(`the step does not say which image ${which} comes from. Plan and deploy again.`);
  });
}
