#!/usr/bin/python3
"""Deploys a cluster and waits for the end: deploy.py CLUSTER

Needs, on Debian and Ubuntu: apt install python3-grpcio protobuf-compiler protobuf-compiler-grpc libprotobuf-dev
The daemon's socket is found by MUSTER_STATE_DIR.
"""

import os
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

import grpc

PROTO = Path(__file__).resolve().parents[2] / "proto"


def generate(folder):
    """Python's messages and stubs from the proto files; in a project of your own this is done once."""
    files = ["buf/validate/validate.proto"]
    files += [str(path.relative_to(PROTO)) for path in sorted(PROTO.glob("muster/v1/*.proto"))]
    plugin = "--plugin=protoc-gen-grpc_python=/usr/bin/grpc_python_plugin"
    out = [f"--python_out={folder}", f"--grpc_python_out={folder}"]
    subprocess.run(["protoc", f"--proto_path={PROTO}", "--proto_path=/usr/include", plugin, *out, *files], check=True)
    sys.path.insert(0, folder)


def deploy(cluster, channel):
    from muster.v1 import deployment_pb2 as messages
    from muster.v1 import deployment_pb2_grpc, node_pb2, node_pb2_grpc

    nodes = node_pb2_grpc.NodeServiceStub(channel)
    deployments = deployment_pb2_grpc.DeploymentServiceStub(channel)
    state_of = lambda enum, value: enum.Name(value).removeprefix("STATE_")

    # Every call has a deadline.
    request = node_pb2.ListNodesRequest(filter="state != DISCOVERED", page_size=1000)
    for node in nodes.ListNodes(request, timeout=10).nodes:
        print(f"node {node.name}: {state_of(node_pb2.Node.State, node.state)} {node.address}")

    plan = deployments.PlanCluster(messages.PlanClusterRequest(cluster=cluster), timeout=10).plan
    print(f"plan {plan.hash[:12]}: {len(plan.steps)} steps on {len(plan.nodes)} nodes")

    # The same request with the same id may be sent again when the answer was lost: it is started once.
    request = messages.StartDeploymentRequest(
        cluster=cluster, plan_hash=plan.hash, request_id=str(uuid.uuid4())
    )
    name = deployments.StartDeployment(request, timeout=10).deployment.name
    print(f"started {name}")

    wait = messages.WaitDeploymentRequest(name=name)
    wait.timeout.FromSeconds(60)
    answer = deployments.WaitDeployment(wait, timeout=70)
    while not answer.done:
        answer = deployments.WaitDeployment(wait, timeout=70)

    request = messages.ListStepsRequest(deployment=name, page_size=1000)
    for step in deployments.ListSteps(request, timeout=10).steps:
        state = state_of(messages.Step.State, step.state)
        print(f"step {step.node}/{step.task}: {state} {step.result or step.reason}")
    state = state_of(messages.Deployment.State, answer.deployment.state)
    print(f"{name}: {state} {answer.deployment.reason}")
    return state == "SUCCEEDED"


def main():
    cluster = sys.argv[1] if len(sys.argv) > 1 else "demo"
    socket = os.path.join(os.environ.get("MUSTER_STATE_DIR", "/var/lib/muster"), "muster.sock")
    with tempfile.TemporaryDirectory() as folder:
        generate(folder)
        # The default authority of a unix socket is its escaped path, which HTTP/2 servers may refuse; and the plan
        # of many nodes is larger than the 4 MiB that are taken by default.
        options = [("grpc.default_authority", "muster"), ("grpc.max_receive_message_length", -1)]
        with grpc.insecure_channel(f"unix:{socket}", options=options) as channel:
            try:
                return 0 if deploy(cluster, channel) else 1
            except grpc.RpcError as error:
                print(f"{error.code().name}: {error.details()}", file=sys.stderr)
                return 1


if __name__ == "__main__":
    sys.exit(main())
