"""Fair turns at the doors: who asks for much waits for those who ask for little, and nobody takes every thread.

`turns` decides, without threads or a clock; `pool` has the threads; `callers` says who asks. The web server's requests
(console.web) and gRPC's calls (console.rpc) go through it. docs/decisions/web-server.md says why.
"""
