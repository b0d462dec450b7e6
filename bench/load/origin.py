"""The origin behind all proxies: an nginx that answers from memory, so that it is never what is measured."""

import machine

SMALL, MEDIUM, LARGE = 128, 100_000, 10_000_000

CONFIGURATION = """
worker_processes 1; worker_rlimit_nofile 20000; pid {folder}/origin.pid; error_log stderr; daemon off;
events {{ worker_connections 9000; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 600; default_type text/plain; sendfile on; open_file_cache max=16;
  client_body_temp_path {folder}/o1; proxy_temp_path {folder}/o2; fastcgi_temp_path {folder}/o3; uwsgi_temp_path {folder}/o4; scgi_temp_path {folder}/o5;
  server {{
    listen 127.0.0.1:{tcp[0]}; listen 127.0.0.1:{tcp[1]}; listen unix:{unix};
    location = / {{ return 200 "{small}"; }}
    location / {{ root {folder}/bodies; }}
  }}
}}
"""


class Origin:
    """Two TCP addresses, so that sticky sessions have something to choose from, and a unix socket; all the same server."""

    def __init__(self, folder):
        self.ports = [machine.free_port(), machine.free_port()]
        self.unix_path = f"{folder}/origin.sock"
        (folder / "bodies").mkdir()
        (folder / "bodies" / "medium").write_bytes(self.body("/medium"))
        (folder / "bodies" / "large").write_bytes(self.body("/large"))
        configuration = folder / "origin.conf"
        configuration.write_text(CONFIGURATION.format(folder=folder, tcp=self.ports, unix=self.unix_path, small=self.body("/").decode()))
        self._process = machine.start(machine.LOAD_CORE, [machine.program("nginx"), "-c", configuration], folder / "origin.out")

    @staticmethod
    def body(path):
        """What a GET of the path is answered; not one letter again and again, so that a shifted body is found out."""
        size = {"/": SMALL, "/medium": MEDIUM, "/large": LARGE}[path]
        line = "".join(f"{number:06d}." for number in range(size // 7 + 1))
        return line[:size].encode()

    def stop(self):
        machine.stop(self._process)
