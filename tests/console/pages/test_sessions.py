"""Where one is logged in, and a new password by mail."""

from __future__ import annotations

import re

import pytest
from django.core import mail
from django.test import Client
from pytest_django import Settings

from audit.models import AuditEvent
from console.accounts import sign_ins, tokens
from console.accounts.models import BrowserSession, SignIn, User
from console.accounts.sign_ins import Program
from console.tasks import send_password_reset

pytestmark = pytest.mark.django_db
OLD, NEW = "a long pass-phrase of hers", "another one that nobody knows"


@pytest.fixture
def ann() -> User:
    return User.objects.create_user("ann", email="ann@example.com", password=OLD)


def _browser(name: str = "ann", agent: str = "Firefox") -> Client:
    client = Client(headers={"User-Agent": agent})
    assert client.post("/login/", {"username": name, "password": OLD}).status_code == 302
    return client


def _is_logged_in(client: Client) -> bool:
    return client.get("/tokens/").status_code == 200


def test_every_browser_is_listed_and_one_can_be_ended(ann: User) -> None:
    here, there = _browser(), _browser(agent="A browser <script>")
    page = here.get("/sessions/").content.decode()
    assert "Firefox" in page and "A browser &lt;script&gt;" in page and page.count("This one") == 1
    other = BrowserSession.objects.get(agent__startswith="A browser")
    assert here.post(f"/sessions/{other.pk}/end/").status_code == 302
    assert _is_logged_in(here) and not _is_logged_in(there)
    assert AuditEvent.objects.get(verb="session.end").actor == "ann"


def test_nobody_ends_sessions_of_others(ann: User) -> None:
    User.objects.create_user("tim", password=OLD)
    hers, his = _browser(), _browser("tim")
    assert his.post(f"/sessions/{BrowserSession.objects.get(user=ann).pk}/end/").status_code == 404
    assert "Firefox" in his.get("/sessions/").content.decode() and _is_logged_in(hers)


def test_all_others_end_at_once_and_programs_with_them(ann: User) -> None:
    here, there = _browser(), _browser()
    secret = sign_ins.new_token()
    sign_ins.begin(ann, Program("causeway", "10.0.0.1", []), token=secret, refresh_token="cwr_x")  # noqa: S106
    assert tokens.authenticate(secret) == ann
    assert "10.0.0.1" in here.get("/sessions/").content.decode()
    here.post("/sessions/end-others/")
    assert _is_logged_in(here) and not _is_logged_in(there)
    assert SignIn.objects.get().ended_at is not None
    with pytest.raises(Exception, match="not valid"):
        tokens.authenticate(secret)


def test_logging_out_takes_the_row_along(ann: User) -> None:
    _browser().post("/logout/")
    assert not BrowserSession.objects.exists()


def test_a_session_is_written_down_again_only_after_minutes(ann: User) -> None:
    client = _browser()
    before = BrowserSession.objects.get().last_seen_at
    client.get("/tokens/")
    assert BrowserSession.objects.get().last_seen_at == before
    session = client.session
    session["seen_at"] = session["seen_at"] - 400
    session.save()
    client.get("/tokens/")
    assert BrowserSession.objects.get().last_seen_at > before


def test_a_new_password_logs_out_everybody_else(ann: User) -> None:
    here, there = _browser(), _browser()
    form = {"old_password": OLD, "new_password1": NEW, "new_password2": NEW}
    assert here.post("/password/", form).status_code == 302
    assert _is_logged_in(here) and not _is_logged_in(there)
    assert BrowserSession.objects.count() == 1


@pytest.fixture
def mailing(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.EMAIL_HOST = "mail.example.com"
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    monkeypatch.setattr(send_password_reset, "delay", send_password_reset)


@pytest.mark.usefixtures("mailing")
def test_a_forgotten_password_is_set_anew_by_mail_once(ann: User) -> None:
    there, client = _browser(), Client()
    assert "Forgot your password?" in client.get("/login/").content.decode()
    assert client.post("/login/forgotten/", {"email": "ANN@example.com"}, follow=True).status_code == 200
    (sent,) = mail.outbox
    assert sent.to == ["ann@example.com"] and "new password for ann" in sent.body
    link = re.search(r"http://[^/]+(/login/new-password/\S+)", str(sent.body))
    assert link is not None
    form = client.get(link[1], follow=True)
    refused = client.post(form.request["PATH_INFO"], {"new_password1": "short", "new_password2": "short"})
    assert "at least 12" in refused.content.decode()
    assert client.post(form.request["PATH_INFO"], {"new_password1": NEW, "new_password2": NEW}).status_code == 302
    assert not _is_logged_in(there)
    assert Client().login(username="ann", password=NEW)
    assert "no longer good" in Client().get(link[1], follow=True).content.decode()
    assert AuditEvent.objects.get(verb="user.password").detail == {"by": "mail"}


@pytest.mark.usefixtures("mailing")
def test_it_is_not_told_whether_there_is_such_an_account(ann: User) -> None:
    User.objects.create_user("sso", email="sso@example.com")  # without a password: it logs in elsewhere
    answers = [
        Client().post("/login/forgotten/", {"email": email}, follow=True)
        for email in ("ann@example.com", "nobody@example.com", "sso@example.com")
    ]
    assert len({answer.content for answer in answers}) == 1
    assert len(mail.outbox) == 1


@pytest.mark.usefixtures("mailing")
def test_nobody_is_flooded_with_mail(ann: User) -> None:
    answers = [Client().post("/login/forgotten/", {"email": "ann@example.com"}).status_code for _ in range(6)]
    assert answers == [302] * 5 + [429] and len(mail.outbox) == 5


def test_where_there_is_no_mail_it_says_what_to_do(ann: User) -> None:
    answer = Client().get("/login/forgotten/")
    assert answer.status_code == 404 and "login link" in answer.content.decode()
    assert "Forgot" not in Client().get("/login/").content.decode()
