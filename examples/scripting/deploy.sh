#!/bin/sh
# Deploys a cluster and waits for the end: deploy.sh CLUSTER
#
# Needs buf (https://buf.build, or node_modules/.bin of this repository) and jq. The daemon's socket is found by
# MUSTER_STATE_DIR. With a daemon that was started with --reflection, --schema may be left out.
set -eu

cluster=${1:-demo}
socket=${MUSTER_STATE_DIR:-/var/lib/muster}/muster.sock
proto=$(dirname -- "$(readlink -f -- "$0")")/../../proto

# call SERVICE/METHOD REQUEST: the answer as JSON. An error is told, and ends the script.
call() {
  buf curl --protocol grpc --schema "$proto" --unix-socket "$socket" \
    --data "$2" "http://localhost/muster.v1.$1"
}

# Numbers of 64 bits are strings in JSON, and what is at its default is left out.
request=$(jq -n '{filter: "state != DISCOVERED", pageSize: 1000}')
call NodeService/ListNodes "$request" |
  jq -r '.nodes // [] | .[] | "node \(.name): \(.state | sub("STATE_"; "")) \(.address // "")"'

request=$(jq -n --arg cluster "$cluster" '{$cluster}')
plan=$(call DeploymentService/PlanCluster "$request")
hash=$(printf '%s' "$plan" | jq -r .plan.hash)
printf '%s' "$plan" | jq -r '.plan | "plan \(.hash[:12]): \(.steps | length) steps on \(.nodes | length) nodes"'

# The same request with the same id may be sent again when the answer was lost: the deployment is started once.
id=$(cat /proc/sys/kernel/random/uuid)
request=$(jq -n --arg cluster "$cluster" --arg planHash "$hash" --arg requestId "$id" '{$cluster, $planHash, $requestId}')
name=$(call DeploymentService/StartDeployment "$request" | jq -r .deployment.name)
echo "started $name"

request=$(jq -n --arg name "$name" '{$name, timeout: "60s"}')
until answer=$(call DeploymentService/WaitDeployment "$request") && printf '%s' "$answer" | jq -e .done >/dev/null; do
  sleep 1
done

request=$(jq -n --arg deployment "$name" '{$deployment, pageSize: 1000}')
call DeploymentService/ListSteps "$request" |
  jq -r '.steps[] | "step \(.node)/\(.task): \(.state | sub("STATE_"; "")) \(.result // .reason // "")"'
state=$(printf '%s' "$answer" | jq -r '.deployment.state | sub("STATE_"; "")')
echo "$name: $state $(printf '%s' "$answer" | jq -r '.deployment.reason // ""')"
[ "$state" = SUCCEEDED ]
