// What people use to bring an image onto a disk, as shell scripts. Every one ends with its bytes on the disk.
import { writeFileSync } from "node:fs";

const write = (target: string) =>
  `dd of=${target} bs=1M iflag=fullblock oflag=direct conv=notrunc,fsync status=none`;

/** Verified on the way: the digest is compared at the end, when the disk is already written. */
export function verifiedPipe(url: string, target: string, decode: string, digest: string): string {
  return `fifo=$(mktemp -u); mkfifo $fifo; trap 'rm -f $fifo $fifo.sum' EXIT
  openssl dgst -sha256 -r <$fifo >$fifo.sum & hash=$!
  curl -sSf ${url} | ${decode} tee $fifo | ${write(target)}
  wait $hash; grep -q ${digest} $fifo.sum`;
}

export function plainPipe(url: string, target: string, decode: string): string {
  return `curl -sSf ${url} | ${decode} ${write(target)}`;
}

export function bmaptool(url: string, bmap: string, target: string): string {
  return `bmaptool -q copy --bmap ${bmap} ${url} ${target}; sync ${target}`;
}

/**
 * The method by which ironic-python-agent streams a raw image, of a checkout of its sources. Its libraries are
 * Debian's (python3-ironic-lib, -openstacksdk, -psutil, -pyudev, -tooz); PYTHONPATH may name others.
 */
export function ironicPythonAgent(
  checkout: string,
  script: string,
): (url: string, target: string, digest: string) => string {
  writeFileSync(
    script,
    `import os, sys
sys.path.insert(0, ${JSON.stringify(checkout)})
from unittest import mock
from ironic_python_agent import config
config.populate_config()
config.CONF([], project="bench")
from ironic_python_agent import disk_utils
from ironic_python_agent.extensions import standby
url, digest, target = sys.argv[1:]
with mock.patch.object(disk_utils, "fix_gpt_partition"), mock.patch.object(disk_utils, "block_uuid"):
    extension = standby.StandbyExtension(mock.Mock())
    extension.partition_uuids = {}
    extension._stream_raw_image_onto_device({
        "id": "bench", "urls": [url], "os_hash_algo": "sha256", "os_hash_value": digest,
        "disk_format": "raw", "container_format": "bare"}, target)
fd = os.open(target, os.O_RDWR); os.fsync(fd); os.close(fd)
`,
  );
  const pipe = (url: string, target: string, digest: string) =>
    `/usr/bin/python3 ${script} ${url} ${digest} ${target}`;
  return pipe;
}
