"""The web process: gunicorn keeps its workers, waitress reads requests and writes answers, the threads do the rest.

docs/decisions/web-server.md says why, with the figures.
"""
