"""Django's mail back end with a deadline: a server that says a byte now and then is late, too."""

from __future__ import annotations

import smtplib
import socket
from contextlib import ExitStack

from django.core.mail.backends import smtp

from lineage.outgoing import Deadline, connect

SECONDS = 20.0  # for one message, from the look-up of the server's name to its goodbye


class Backend(smtp.EmailBackend):
    """`EMAIL_BACKEND` of a server: each opening of a connection begins a span of SECONDS, and ends with it."""

    def open(self) -> bool | None:
        self._watched = ExitStack()
        try:
            return super().open()
        except BaseException:
            self._watched.close()
            raise

    def close(self) -> None:
        try:
            super().close()
        finally:
            if hasattr(self, "_watched"):
                self._watched.close()

    @property
    def connection_class(self) -> type[smtplib.SMTP]:
        deadline, watched = Deadline(SECONDS), self._watched

        class Plain(smtplib.SMTP):
            def _get_socket(self, host: str, port: int, timeout: float | None) -> socket.socket:
                connected = connect(host, port, deadline, private=True)  # the operator's own setting
                watched.enter_context(deadline.watch(connected))
                return connected

        class Tls(smtplib.SMTP_SSL):
            def _get_socket(self, host: str, port: int, timeout: float | None) -> socket.socket:
                connected = connect(host, port, deadline, private=True)
                watched.enter_context(deadline.watch(connected))
                return self.context.wrap_socket(connected, server_hostname=self._host)  # type: ignore[attr-defined]

        return Tls if self.use_ssl else Plain
