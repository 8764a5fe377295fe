// An nginx with one worker that serves a directory on the loopback.
import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "./free-port.ts";

export type Nginx = AsyncDisposable & { url: string; pids(): number[] };

export async function startNginx(directory: string, work: string): Promise<Nginx> {
  const port = await freePort();
  const home = join(work, "nginx");
  mkdirSync(home, { recursive: true });
  const file = join(home, "nginx.conf");
  writeFileSync(
    file,
    `daemon off; user root; worker_processes 1; pid ${home}/pid; error_log ${home}/error.log;
events { worker_connections 1024; }
http { access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000; open_file_cache max=20000; default_type application/octet-stream;
  client_body_temp_path ${home}/body; proxy_temp_path ${home}/proxy; fastcgi_temp_path ${home}/fastcgi;
  uwsgi_temp_path ${home}/uwsgi; scgi_temp_path ${home}/scgi;
  server { listen 127.0.0.1:${port}; root ${directory}; } }`,
  );
  const child = spawn("setpriv", ["--pdeathsig", "TERM", "nginx", "-p", home, "-c", file], {
    stdio: "ignore",
  });
  const url = `http://127.0.0.1:${port}/`;
  for (let left = 50; left > 0; left--) {
    if (
      await fetch(url).then(
        () => true,
        () => false,
      )
    )
      break;
    await sleep(100);
  }
  const pid = child.pid ?? 0;
  return {
    url,
    pids: () => [pid, ...childrenOf(pid)],
    [Symbol.asyncDispose]: async () => {
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGTERM");
      await ended;
    },
  };
}

function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
  return text ? text.split(" ").map(Number) : [];
}
